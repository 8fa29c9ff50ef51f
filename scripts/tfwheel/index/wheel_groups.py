"""What the landing page shows of all wheels: those of one version and line together, a row for each file; pure."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tfwheel.config import gpu_support
from tfwheel.index import command_tables, install_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfwheel.config.gpu_support import Gpu
    from tfwheel.index.ledger_entry import LedgerEntry

NEVER, NO_CODE = "never run on a GPU", "no GPU code"
LARGE_MB = 10  # from here on without decimals


def groups(
    pairs: Sequence[tuple[Mapping[str, Any], LedgerEntry]],
    listing: Mapping[str, Any],
    *,
    gpus: Sequence[Gpu],
    material: frozenset[str],
) -> list[dict[str, Any]]:
    """Return the wheels of each project, version and line together, in their order.

    ``pairs`` are wheels of the listing (a wheels.json) with their lines of the ledger, ``material`` the install files
    that exist.
    """
    found = groupby(pairs, key=lambda pair: (pair[1].project, pair[1].version, pair[1].line))
    return [_group(list(group), listing, gpus, material) for _, group in found]


def _group(
    pairs: Sequence[tuple[Mapping[str, Any], LedgerEntry]],
    listing: Mapping[str, Any],
    gpus: Sequence[Gpu],
    material: frozenset[str],
) -> dict[str, Any]:
    first = pairs[0][1]
    cuda = next((line["cuda"] for line in listing["lines"] if line["name"] == first.line), None)
    served = [gpu for gpu in gpus if all(gpu_support.serves(entry.gpu_code, gpu.capability) for _, entry in pairs)]
    fits = _fits([wheel for wheel, _ in pairs], listing["runtimes"])
    install = f'pip install --extra-index-url {command_tables.BASE}{first.line}/ "{first.pin}"'
    return {
        "anchor": f"{first.project}-{first.version}-{first.line}".replace("+", "-"),
        "project": first.project,
        "version": first.version,
        "line": first.line,
        "cuda": f"CUDA {cuda}" if cuda else "no CUDA",
        "yanked": first.yanked if len({entry.yanked for _, entry in pairs}) == 1 else None,
        "codes": _codes(first.gpu_code),
        "gpus": [gpu.name for gpu in served if gpu.colab],
        "also": [gpu.name for gpu in served if not gpu.colab and gpu.machine == "x86_64"],
        "fits": fits,
        "reasons": _reasons(fits),
        "install": command_tables.parts(install),
        "material": [one for _, entry in pairs for one in _material(entry, material)],
        "wheels": [_row(wheel, entry) for wheel, entry in pairs],
    }


def _codes(gpu_code: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the images of each kind of GPU code that a wheel has, by the kind's name for users; PTX as "ptx_90"."""
    return {
        title: [image.replace("compute_", "ptx_") for image in gpu_code[kind]]
        for kind, title in gpu_support.KINDS.items()
        if gpu_code.get(kind)
    }


def _fits(wheels: Sequence[Mapping[str, Any]], runtimes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what one of the wheels would change in each runtime, as far as it was checked against it."""
    found = []
    for runtime in runtimes:
        python = runtime["python"].rpartition(".")[0]
        fits = [
            wheel["fit"].get(runtime["name"]) for wheel in wheels if python in wheel["python"] or not wheel["python"]
        ]
        for fit in filter(None, fits[:1]):
            words = f"changes {len(fit['changes'])}" if fit["verdict"] == "changes" else fit["verdict"]
            changes = [f"{name} {old or 'none'} -> {new or 'none'}" for name, old, new in fit["changes"]]
            reason = "; ".join(fit["reasons"] or changes)
            found.append({"runtime": runtime["name"], "verdict": fit["verdict"], "words": words, "reason": reason})
    return found


def _reasons(fits: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return each reason of these verdicts once, after the names of its runtimes."""
    found: dict[str, list[str]] = {}
    for fit in fits:
        found.setdefault(fit["reason"], []).append(fit["runtime"])
    return [(", ".join(runtimes), reason) for reason, runtimes in found.items() if reason]


def _row(wheel: Mapping[str, Any], entry: LedgerEntry) -> dict[str, Any]:
    """Return what the page shows of one wheel."""
    smoke, gpu_smoke = _smoke(entry.smoke), _gpu_smoke(entry.gpu_smoke) if entry.gpu_code else NO_CODE
    on_gpu = "" if gpu_smoke == NO_CODE else f" {gpu_smoke[0].upper()}{gpu_smoke[1:]}."
    return {
        "file": entry.file,
        "href": wheel["href"],
        "python": f"Python {', '.join(wheel['python'])}" if wheel["python"] else "any Python 3",
        "tag": _tag(entry.file),
        "megabytes": _megabytes(entry.size),
        "uploaded": entry.uploaded,
        "smoke": smoke,
        "gpu_smoke": gpu_smoke,
        "evidence": f"CPU smoke test: {smoke}.{on_gpu}",
        "sha256": entry.sha256,
        "yanked": entry.yanked,
    }


def _tag(file: str) -> str:
    """Return the tags of a file name: Python, ABI and the first platform, without aliases of it (PEP 600)."""
    python, abi, platforms = file.removesuffix(".whl").split("-")[-3:]
    return f"{python}-{abi}-{platforms.split('.')[0]}"


def _megabytes(size: int) -> str:
    megabytes = size / 1e6
    return f"{megabytes:.0f}" if megabytes >= LARGE_MB else f"{megabytes:.2f}"


def _smoke(report: Mapping[str, Any] | None) -> str:
    """Summarize the CPU smoke test in a few words: with which Python and when, or that it did not pass."""
    if not report:
        return "never run"
    words = [f"Python {report['python']}" if report.get("python") else "", str(report.get("date", ""))[:10]]
    said = ", ".join(word for word in words if word) or "passed"
    return said if report.get("passed") is True else f"not passed, {said}"


def _gpu_smoke(report: Mapping[str, Any] | None) -> str:
    """Summarize the GPU smoke test in a few words: on which GPU and when, or that there was none."""
    gpu = (report or {}).get("gpu")
    name = gpu.get("name") if isinstance(gpu, dict) else gpu
    if not report or not name:
        return NEVER
    said = ", ".join(word for word in (f"GPU: {name}", str(report.get("date", ""))[:10]) if word)
    return said if report.get("passed") is True else f"not passed, {said}"


def _material(entry: LedgerEntry, material: frozenset[str]) -> list[tuple[str, str]]:
    """Return file name and link of each existing install file of a wheel."""
    locks = [
        install_files.Lock(
            line=entry.line, project=entry.project, version=entry.version, python=python, requirements="", pylock=""
        )
        for python in install_files.pythons(entry.file)
    ]
    paths = [f"{lock.folder}/{name}" for lock in locks for name in (lock.requirements_name, lock.pylock_name)]
    return [(path.rpartition("/")[2], quote(path)) for path in paths if path in material]
