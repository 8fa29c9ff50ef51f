"""Local equivalents of the actions that our workflows use; ACTIONS is the whole list."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfwheel.system import console, git, interpreters
from tfwheel.system.processes import run
from workflow_runner.errors import RehearsalError, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Values = Mapping[str, Any]


@dataclass(kw_only=True)
class Machine:
    """The runner of one job: ``origin`` is cloned into ``workspace``, ``artifacts`` are shared by the jobs of a run.

    ``temp`` is for the job's own files. ``path`` is prepended to PATH; actions add to it.
    """

    origin: Path
    workspace: Path
    temp: Path
    artifacts: Path
    path: list[str] = field(default_factory=list)


def perform(uses: str, given: Values, machine: Machine) -> None:
    """Run the local equivalent of an action; RehearsalError when it fails, WorkflowError if there is none."""
    action = uses.partition("@")[0]
    if action not in ACTIONS:
        message = f"the action {action} has no equivalent on this machine"
        raise WorkflowError(message, remedy=f"Rehearse the jobs without it. Known: {', '.join(sorted(ACTIONS))}.")
    ACTIONS[action](given, machine)


# --- one function per action ------------------------------------------------------------------------------


def _check_out(given: Values, machine: Machine) -> None:
    """Clone the checkout, by default only the newest commit (``fetch-depth``); ``ref`` is a branch, tag or commit."""
    _know(given, "fetch-depth", "persist-credentials", "ref")
    depth = str(given.get("fetch-depth", 1))
    shallow = [] if depth == "0" else ["--depth", depth]
    git.run("clone", "--quiet", *shallow, machine.origin.as_uri(), machine.workspace)
    if given.get("ref"):
        git.run("checkout", "--quiet", str(given["ref"]), at=machine.workspace)


def _set_up_python(given: Values, machine: Machine) -> None:
    """Put a virtual environment of the last version first on PATH, so that `pip install` works."""
    _know(given, "python-version")
    versions = str(given["python-version"]).split()
    found = [interpreters.find(version) for version in versions]
    home = machine.temp / f"python-{versions[-1]}"
    run([sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update", "--python", found[-1], home])
    machine.path[:0] = [str(home / "bin"), *(str(python.parent) for python in reversed(found[:-1]))]


def _upload(given: Values, machine: Machine) -> None:
    """Copy files to the folder of the artifact, with their folders below the part of ``path`` without wildcards."""
    _know(given, "name", "path", "if-no-files-found", "compression-level", "retention-days")
    target, pattern = machine.artifacts / given["name"], Path(given["path"])
    fixed = [part for part in pattern.parts if "*" not in part]
    root = machine.workspace.joinpath(*fixed)
    wild = "/".join(pattern.parts[len(fixed) :]) or "**/*"
    files = [path for path in sorted(root.glob(wild)) if path.is_file() and not _is_hidden(path.relative_to(root))]
    if root.is_file():
        root, files = root.parent, [root]
    if target.exists():
        message = f"there is already an artifact {given['name']}, and artifacts are never replaced"
        raise RehearsalError(message)
    if not files and given.get("if-no-files-found") == "error":
        message = f"there is no file to upload at {given['path']}"
        raise RehearsalError(message)
    for path in files:
        _copy(path, target / path.relative_to(root))
    console.say(f"  {given['name']}: {len(files)} files")


def _download(given: Values, machine: Machine) -> None:
    """Copy artifacts out: several into one folder each, a single one without, even if ``pattern`` selected it."""
    _know(given, "name", "pattern", "path", "run-id", "github-token")
    names = sorted(path.name for path in machine.artifacts.glob("*"))
    if "name" in given and given["name"] not in names:
        message = f"there is no artifact {given['name']}; there are: {', '.join(names) or 'none'}"
        raise RehearsalError(message)
    chosen = [given["name"]] if "name" in given else [name for name in names if _fits(name, given.get("pattern", "*"))]
    for name in chosen:
        place = machine.workspace / given["path"] / ("" if len(chosen) == 1 else name)
        for path in sorted((machine.artifacts / name).rglob("*")):
            if path.is_file():
                _copy(path, place / path.relative_to(machine.artifacts / name))
    console.say(f"  {', '.join(chosen) or 'no artifact fits'}")


def _gate(given: Values, _: Machine) -> None:
    """Check that every needed job succeeded; those in ``allowed-skips`` may have been skipped."""
    _know(given, "jobs", "allowed-skips")
    allowed = {name.strip() for name in str(given.get("allowed-skips", "")).split(",")}
    results = {name: job["result"] for name, job in json.loads(given["jobs"]).items()}
    bad = {name: result for name, result in results.items() if result != "success"}
    bad = {name: result for name, result in bad.items() if not (result == "skipped" and name in allowed)}
    for name, result in results.items():
        console.say(f"  {name}: {result}")
    if bad:
        message = "required jobs are not green: " + ", ".join(f"{name} {result}" for name, result in bad.items())
        raise RehearsalError(message)


ACTIONS: dict[str, Callable[[Values, Machine], None]] = {
    "actions/checkout": _check_out,  # a clone of this checkout, with what is not committed yet
    "actions/setup-python": _set_up_python,  # a Python of this machine
    "actions/upload-artifact": _upload,  # a folder
    "actions/download-artifact": _download,  # the same folder
    "re-actors/alls-green": _gate,  # the same rule
}


def _know(given: Values, *known: str) -> None:
    unknown = set(given) - set(known)
    if unknown:
        message = f"`with: {', '.join(sorted(unknown))}` has no equivalent on this machine"
        raise WorkflowError(message)


def _fits(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern such as ``{record,gpu}-*``."""
    start, brace, rest = pattern.partition("{")
    if not brace:
        return fnmatchcase(name, pattern)
    choices, _, end = rest.partition("}")
    return any(_fits(name, f"{start}{choice}{end}") for choice in choices.split(","))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
