"""The list of all wheels with what is known of each, for programs: ``wheels.json`` at the root of the site; pure.

The doctor and whoever else chooses a wheel read it (``doctor.selector``). What is not known is null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.version import Version

from tfwheel.index import install_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfwheel.config.colab_runtimes import Runtime
    from tfwheel.config.gpu_support import Gpu
    from tfwheel.config.targets import Line
    from tfwheel.index.ledger_entry import LedgerEntry

NAME = "wheels.json"
VERSION = 1
MOST = 1000  # the newest ones: a page of 100,000 wheels would be 150 MB
# Packages of Colab that require the TensorFlow version they were built for.
COMPANIONS = ("tf_keras", "tensorflow-text", "tensorflow-hub", "ydf_tf", "tensorflow_decision_forests")
UNKNOWN: dict[str, Any] = {"requires": [], "gencode": None, "fit": {}}  # of a wheel, beyond its line in the ledger


def encode(listing: Mapping[str, Any]) -> dict[str, bytes]:
    """Encode a list as ``{"wheels.json": bytes}``."""
    return {NAME: (json.dumps(listing, sort_keys=True, separators=(",", ":")) + "\n").encode()}


def listing(
    entries: Iterable[LedgerEntry],
    *,
    lines: Mapping[str, Line],
    runtimes: Sequence[Runtime],
    gpus: Sequence[Gpu],
    base_url: str,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the list of these wheels, but for removed ones; entries in any order give an equal one.

    ``runtimes`` are Colab's, newest first. ``facts`` maps the file of a wheel to what its line in the ledger does not
    say: some keys of UNKNOWN, where "fit" maps the name of a runtime to "verdict", "reasons" and "changes".
    """
    every = sorted(
        (entry for entry in entries if entry.removed is None),
        key=lambda entry: (entry.uploaded, entry.file, entry.line),
    )
    shown = sorted(every[-MOST:], key=lambda entry: (entry.project, entry.file, entry.line))
    known = facts or {}
    return {
        "meta": {"version": VERSION},
        "base_url": base_url,
        "gpus": [_gpu(gpu) for gpu in gpus],
        "runtimes": [_runtime(runtime, newest=not place) for place, runtime in enumerate(runtimes)],
        "lines": [_line(name, lines.get(name)) for name in sorted({entry.line for entry in shown})],
        "wheels": [_wheel(entry) | UNKNOWN | dict(known.get(entry.file, {})) for entry in shown],
    }


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {"name": gpu.name, "card": gpu.card, "capability": "{}.{}".format(*gpu.capability), "colab": gpu.colab}


def _runtime(runtime: Runtime, *, newest: bool) -> dict[str, Any]:
    companions = {name: runtime.version_of(name) for name in COMPANIONS}
    return {
        "name": runtime.name,
        "python": runtime.python,
        "glibc": None,
        "cuda": None,
        "driver": None,
        "cudnn": {"apt": None, "pip": None},
        "tensorflow": runtime.tensorflow,
        "date": None,
        "newest": newest,
        "companions": {name: version for name, version in companions.items() if version},
        "faults": [],
        "constraints": f"install/{install_files.constraints_name(runtime)}",
    }


def _line(name: str, line: Line | None) -> dict[str, Any]:
    return {"name": name, "cuda": line.cuda if line else None}


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
        "gpu_code": entry.gpu_code,
        "yanked": entry.yanked,
        "uploaded": entry.uploaded,
    }
