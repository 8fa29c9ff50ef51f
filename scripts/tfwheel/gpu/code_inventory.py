"""List the GPU images of TensorFlow's libraries by kind: big kernels (nvcc fatbins) and kernels that MLIR generated."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tfwheel.gpu import fatbin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FAMILIES = {".nv_fatbin": "fatbin", fatbin.DATA_SECTION: "generated"}  # kind of GPU code by section


def images_of(libraries: Iterable[Path]) -> dict[str, tuple[str, ...]]:
    """Return the images of all these libraries by family: ``{"generated": ("sm_70", "sm_80", "compute_90a")}``.

    The suffix "a" marks PTX for one GPU alone. Raises what ``fatbin.entries`` and
    ``fatbin.image`` raise.
    """
    found: dict[str, set[str]] = {}
    for library in libraries:
        with library.open("rb") as stream:
            for entry in fatbin.entries(library):
                if entry.section in FAMILIES:
                    fatbin.check(entry)
                    code = os.pread(stream.fileno(), entry.size, entry.offset) if entry.kind == "PTX" else b""
                    tied = bool(code) and fatbin.is_tied(fatbin.image(entry, code))
                    found.setdefault(FAMILIES[entry.section], set()).add(entry.name + ("a" if tied else ""))
    return merged(found)


def merged(*parts: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Merge several results of ``images_of`` into one: SASS before PTX, each in numeric order."""
    names = {family: {name for part in parts for name in part.get(family, ())} for part in parts for family in part}
    return {family: tuple(sorted(names[family], key=_order)) for family in sorted(names)}


def _order(name: str) -> tuple[str, int, str]:
    kind, _, arch = name.partition("_")
    return {"sm": "1", "compute": "2"}[kind], int(arch.rstrip("af")), arch
