"""Read which GPU code a library has, by kind: big kernels (nvcc's fatbins) and kernels that MLIR generated.

A kind has an image ("sm_80", "compute_90") only if every container of that kind has it: what one kernel lacks, a
program that reaches that kernel lacks. PTX for one GPU or family alone keeps its suffix, "compute_90a".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.gpu import fatbin

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

GpuCode = Mapping[str, tuple[str, ...]]  # images by kind
MOVABLE, RELOCATABLE = fatbin.CODE_SECTIONS
FAMILIES = {MOVABLE: "fatbin", fatbin.DATA_SECTION: "generated"}  # kind of GPU code by section


@dataclass(frozen=True, kw_only=True)
class LibraryCode:
    """The GPU code of one library: the images of each of its containers, by section."""

    containers: Mapping[str, tuple[frozenset[str], ...]]

    @property
    def images(self) -> tuple[str, ...]:
        """Every image that any container has."""
        return _sorted({name for group in self.containers.values() for names in group for name in names})

    @property
    def by_kind(self) -> dict[str, tuple[str, ...]]:
        """The images that all containers of a kind have; a kind without containers is left out.

        Containers without PTX beside others with PTX, in a library with relocatable code, are left out: the device
        linker made them from that code. In TensorFlow that is one, NCCL's, for several GPUs at work together.
        """
        kept = {family: self.containers[section] for section, family in FAMILIES.items() if section in self.containers}
        if RELOCATABLE in self.containers and "fatbin" in kept:
            kept["fatbin"] = tuple(filter(_has_ptx, kept["fatbin"])) or kept["fatbin"]
        return {family: _sorted(frozenset.intersection(*containers)) for family, containers in kept.items()}


def read(library: Path) -> LibraryCode:
    """Read the GPU code of a library, in one pass over the file; raise what ``fatbin.containers`` raises."""
    found: dict[str, list[frozenset[str]]] = {}
    with library.open("rb") as stream:
        for container in fatbin.containers(library):
            names = set()
            for entry in container.entries:
                fatbin.check(entry)
                code = os.pread(stream.fileno(), entry.size, entry.offset) if entry.kind == "PTX" else b""
                names.add(entry.name + (fatbin.suffix(fatbin.image(entry, code)) if code else ""))
            found.setdefault(container.section, []).append(frozenset(names))
    return LibraryCode(containers={section: tuple(containers) for section, containers in found.items()})


def merged(parts: Iterable[GpuCode]) -> dict[str, tuple[str, ...]]:
    """Return what several libraries have together: of each kind the images that all libraries with that kind have."""
    found: dict[str, set[str]] = {}
    for part in parts:
        for family, names in part.items():
            found[family] = found[family].intersection(names) if family in found else set(names)
    return {family: _sorted(found[family]) for family in sorted(found)}


def _has_ptx(names: Iterable[str]) -> bool:
    return any(name.startswith("compute_") for name in names)


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    """Sort images: SASS before PTX, each in numeric order."""
    return tuple(sorted(names, key=lambda name: (not name.startswith("sm_"), _number(name), name)))


def _number(name: str) -> int:
    return int(name.partition("_")[2].rstrip("af"))
