"""The list of all wheels with what is known of each, for programs: ``wheels.json`` at the root of the site; pure.

The doctor and whoever else chooses a wheel read it (``doctor.selector``). What is not known is null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.version import Version

from tfwheel.colab import fit_table
from tfwheel.index import install_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.config.gpu_support import Gpu
    from tfwheel.config.targets import Line
    from tfwheel.index.ledger_entry import LedgerEntry

NAME = "wheels.json"
VERSION = 1
MOST = 1000  # the newest ones: a page of 100,000 wheels would be 150 MB


def encode(listing: Mapping[str, Any]) -> dict[str, bytes]:
    """Encode a list as ``{"wheels.json": bytes}``."""
    return {NAME: (json.dumps(listing, sort_keys=True, separators=(",", ":")) + "\n").encode()}


def newest(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Return the entries that the list has, in its order: all but removed ones, of many the newest."""
    every = sorted(
        (entry for entry in entries if entry.removed is None),
        key=lambda entry: (entry.uploaded, entry.file, entry.line),
    )
    return sorted(every[-MOST:], key=lambda entry: (entry.project, entry.file, entry.line))


def listing(
    entries: Iterable[LedgerEntry],
    *,
    lines: Mapping[str, Line],
    runtimes: Sequence[Runtime],
    known: Distributions,
    gpus: Sequence[Gpu],
    base_url: str,
    fits: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the list of the newest of these wheels; entries in any order give an equal one.

    ``runtimes`` are Colab's, newest first, and ``known`` what is known of the distributions in them. ``fits`` maps the
    file of a wheel to its judgement in each runtime, by the runtime's name: "verdict", "reasons" and "changes".
    """
    shown = newest(entries)
    return {
        "meta": {"version": VERSION},
        "base_url": base_url,
        "gpus": [_gpu(gpu) for gpu in gpus],
        "runtimes": [_runtime(runtime, known) for runtime in runtimes],
        "lines": [_line(name, lines.get(name)) for name in sorted({entry.line for entry in shown})],
        "wheels": [_wheel(entry) | {"fit": dict(fits.get(entry.file, {}))} for entry in shown],
    }


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {"name": gpu.name, "card": gpu.card, "capability": "{}.{}".format(*gpu.capability), "colab": gpu.colab}


def _runtime(runtime: Runtime, known: Distributions) -> dict[str, Any]:
    constraints = f"install/{install_files.constraints_name(runtime)}"
    return fit_table.described(runtime, known) | {"constraints": constraints}


def _line(name: str, line: Line | None) -> dict[str, Any]:
    return {"name": name, "cuda": line.cuda if line else None}


def _one_line(reason: str) -> str:
    """Return a reason in one printable line: readers refuse a list with any other text."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in reason).split())


def _wheel(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "project": entry.project,
        "version": str(Version(entry.version)),
        "file": entry.file,
        "line": entry.line,
        "href": entry.url or quote(f"{entry.folder}/{entry.file}"),
        "sha256": entry.sha256,
        "size": entry.size,
        "python": install_files.pythons(entry.file),
        "platforms": entry.file.removesuffix(".whl").rpartition("-")[2].split("."),
        "requires_python": entry.requires_python,
        "requires": list(entry.requires or ()),
        "gencode": entry.gencode,
        "gpu_code": entry.gpu_code,
        "yanked": None if entry.yanked is None else _one_line(entry.yanked),
        "uploaded": entry.uploaded,
    }
