"""Says what was found: as lines for a terminal, as Markdown for an issue, without personal paths and tokens."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from tfwheel.doctor.settings import without_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfwheel.doctor.choice import Choice
    from tfwheel.doctor.explain import Explanation

WORTH_NAMING = re.compile(
    r"(?:tensorflow|tf-|tfwheel|keras|numpy|protobuf|h5py|ml-dtypes|ydf|jax|torch|nvidia-|pip$|uv$).*"
)

TOKEN = re.compile(
    r"\b(?:gh[pousr]_|github_pat_|hf_|pypi-|glpat-|sk-|AKIA|AIza|eyJ|ya29\.|xox[bp]-)[A-Za-z0-9_.-]{8,}"
    r"|(?<![\w-])(?!_Z)(?=[\w-]*\d)(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{24,}"  # _Z: a symbol of C++
    r"|(?<![:\w])[\w.%+-]+:[^\s:/]+@[^\s@]+"  # user:password@host
)


def choice_lines(choice: Choice, site: str) -> list[str]:
    """Return the answer of the selector for a terminal: the command first."""
    lines = []
    if choice.wheel:
        size = f"{choice.wheel['size'] / 1e6:.0f} MB"
        lines += [
            f"Install {choice.wheel['project']} {choice.wheel['version']} ({size}):",
            "",
            f"    {choice.command}",
            "",
        ]
    elif choice.command:
        lines += [str(choice.advice), "", f"    {choice.command}", ""]
    else:
        lines += ["No wheel of this index fits here.", str(choice.advice), ""]
    lines += [f"  - {note}" for note in choice.notes]
    for one in choice.alternatives:
        lines += ["", f"Or ({one['why']}):", "", f"    {one['command']}"]
    lines += _rejected_lines(choice.rejected)
    if choice.command:
        needed = "restart the session after it" if choice.restart else "no restart is needed"
        lines += ["", f"Restart: {needed}."]
    lines += [f"Index: {site}"] if site else []
    return lines


def _rejected_lines(rejected: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each reason, with the wheels that it is against; other packages are left out."""
    reasons: dict[str, list[str]] = {}
    for file, reason in rejected:
        version, *_, python, _abi, _platform = file.split("-")[1:]
        reasons.setdefault(reason, []).append(f"{version} {python}")
    shown = {reason: files for reason, files in reasons.items() if not reason.startswith("another package")}
    return (
        ["", "Why not the others:", *(f"  - {', '.join(files)}: {reason}" for reason, files in shown.items())]
        if shown
        else []
    )


def explanation_lines(found: Explanation | None) -> list[str]:
    """Return what a log shows, for a terminal."""
    if found is None:
        return ["Nothing known found: this log shows no failure that this program knows."]
    return [
        f"Cause:  {found.cause}",
        f"Remedy: {found.remedy}",
        f"Told by line {found.number}: {found.line}",
        f"({found.name})",
    ]


def inspection_lines(found: Mapping[str, Any]) -> list[str]:
    """Return what is installed, for a terminal: problems first."""
    lines = [f"PROBLEM: {problem}" for problem in found["problems"]] or ["No problem found."]
    lines += [f"{one['project']} {one['version']} ({', '.join(one['tags']) or 'no tag'})" for one in found["owners"]]
    for one in found["ours"] or []:
        known = f"is {one['file']} of this index, sha256 {one['sha256']}" if one["file"] else "is not from this index"
        proof = {True: "; it was installed from exactly that file", False: "; ANOTHER FILE WAS INSTALLED", None: ""}
        lines.append(f"{one['project']} {one['version']} {known}{proof[one['same']]}.")
    for kind, images in found["gpu_code"].items():
        lines.append(f"GPU code, {kind}: {', '.join(images) or 'none that all kernels have'}")
    for kind, answer in (found["runs"] or {}).items():
        lines.append(f"This GPU runs of {kind}: {answer}")
    ptxas = found["ptxas"]
    lines.append(f"ptxas: {ptxas['path'] or 'not found'}{' ' + ptxas['version'] if ptxas['version'] else ''}")
    lines.append(f"XLA_FLAGS: {found['xla_flags'] or 'not set'}")
    return lines


def fact_lines(facts: Mapping[str, Any], probe: Mapping[str, Any] | None) -> list[str]:
    """Return the facts for a terminal."""
    cpu, memory, disk = facts["cpu"], facts["memory_gb"], facts["disk_free_gb"]
    lines = [
        f"Python {facts['python']} at {facts['executable']}{' (virtual environment)' if facts['venv'] else ''}",
        f"{facts['system']}, glibc {facts['glibc'] or 'none'}",
        f"CPU {cpu['model']}, {cpu['cores']} cores, {' '.join(cpu['flags']) or 'flags unknown'}",
        f"memory {memory['available']} of {memory['total']} GB free, disk {disk['packages']} GB free",
        _gpu_line(facts, probe),
    ]
    cudnn = facts["libraries"].get("libcudnn.so.9")
    if cudnn:
        version = (probe or {}).get("cudnn")
        lines.append(
            f"cuDNN {version or 'of unknown version'} from {cudnn[0]}" + (f", before {cudnn[1]}" if cudnn[1:] else "")
        )
    names = {name: version for name, version in facts["distributions"].items() if name == "tensorflow"}
    lines.append(f"TensorFlow {names['tensorflow']} is installed" if names else "TensorFlow is not installed")
    if facts["loaded"] is None and facts["notebook"]:
        lines.append(
            "What the notebook has in memory cannot be seen from here: paste this file into a cell, or %run it."
        )
    stale = [f"{one['module']} {one['loaded']} is loaded, not {one['installed']}" for one in facts["loaded"] or []]
    return [*lines, *(f"{line}, which is installed: restart the session" for line in stale), *facts["twice"]]


def _gpu_line(facts: Mapping[str, Any], probe: Mapping[str, Any] | None) -> str:
    if probe is None:
        return "GPU: not asked"
    if not probe["gpus"]:
        error = probe.get("error") or "no device"
        if probe["gpus"] is None:
            return f"GPU: UNKNOWN ({error})"
        return f"GPU: none ({'no NVIDIA driver' if 'libcuda.so' in error else error})"
    names = "; ".join(
        f"{one['name']}, compute capability {one['capability']}, {one['memory_gb']} GB" for one in probe["gpus"]
    )
    driver = probe.get("driver") or facts["driver"] or "unknown"
    return f"GPU: {names}; driver {driver}, up to CUDA {probe['cuda_driver']}"


def markdown_report(parts: Mapping[str, Iterable[str]], distributions: Mapping[str, str]) -> str:
    """Return Markdown for an issue: a section for each part, and the versions of what matters."""
    text = "<!-- made by doctor.py --report -->\n"
    for title, lines in parts.items():
        text += (
            f"\n### {title}\n\n```text\n"
            + "\n".join(line.replace("```", "'''") for line in lines).strip("\n")
            + "\n```\n"
        )
    named = [f"{name}=={version}" for name, version in distributions.items() if WORTH_NAMING.fullmatch(name)]
    text += "\n### Packages\n\n```text\n" + "\n".join(named) + "\n```\n"
    return without_secrets(text)


def without_any_secrets(value: Any) -> Any:  # noqa: ANN401 -- whatever JSON holds
    """Return a value for JSON, each text in it as ``without_secrets`` has it."""
    if isinstance(value, dict):
        return {without_secrets(str(key)): without_any_secrets(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_any_secrets(one) for one in value]
    return without_secrets(value) if isinstance(value, str) else value


def without_secrets(text: str) -> str:
    """Return a text without names of people, what is after the host in URLs, and what looks like a token."""
    text = TOKEN.sub("(hidden)", without_paths(text))
    home = os.path.expanduser("~")  # noqa: PTH111 -- Path.home() raises without a home
    names = {os.environ.get("USER"), os.environ.get("LOGNAME")}
    if len(home) > 1 and home not in ("/root", "~"):
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
        names.add(os.path.basename(home))  # noqa: PTH119
    text = re.sub(r"(/home/|/Users/|\\Users\\)[^/\\\s:'\"]+", r"\1USER", text)
    for name in names - {"", "root", None}:
        text = re.sub(rf"(?<=[/\\]){re.escape(str(name))}(?![\w-])", "USER", text)
        if len(str(name)) > 3:  # noqa: PLR2004 -- a shorter one is part of words
            text = re.sub(rf"(?<!\w){re.escape(str(name))}(?!\w)", "USER", text)
    return text
