"""Rewrite the GPU code of an official library for other GPUs, in place: same size, and no other byte changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.gpu import fatbin
from tfwheel.retarget import section_layout
from tfwheel.retarget.errors import AlreadyRetargetedError, NoGpuCodeError
from tfwheel.retarget.image_plan import GENERATED, MOVABLE, RELOCATABLE, ImagePlanner
from tfwheel.retarget.relocations import Relocations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfwheel.config.schema import Retarget
    from tfwheel.gpu.fatbin import FatbinContainer
    from tfwheel.retarget.image_plan import Family
    from tfwheel.retarget.ptxas import PtxCompiler, PtxModule
    from tfwheel.retarget.section_layout import Layout

FAMILIES = {MOVABLE: "fatbin", GENERATED: "generated", RELOCATABLE: "relocatable"}


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result for one library: ``pointers`` counts rewritten pointers, ``symbols`` says whether they are kept."""

    library: str
    families: Mapping[str, Family]
    pointers: int
    symbols: bool
    tools: tuple[str, ...]

    @classmethod
    def of_untouched(cls, path: Path) -> Report:
        """The report on a library whose GPU code stays as it is."""
        return cls(library=path.name, families={}, pointers=0, symbols=True, tools=())


def retarget_library(path: Path, *, wanted: Retarget, compiler: PtxCompiler) -> Report:
    """Rewrite the GPU code of a library in place; pass a copy, which a failure may leave useless.

    Finds, checks and compiles everything before it writes the first byte. Raises NoGpuCodeError,
    AlreadyRetargetedError, UnknownLayoutError, RelocationError, DoesNotFitError, UnknownArchError and PtxError, and
    FatbinError or BadWheelError if the library cannot be read.
    """
    layout = section_layout.read(path)
    containers = _containers(layout)
    relocations = Relocations(layout, containers)
    planner = ImagePlanner(layout=layout, wanted=wanted, compiler=compiler)
    plans = planner.plans(containers)
    moving = [name for name, plan in plans.items() if name != GENERATED and not plan.unchanged]
    moves = {name: section_layout.new_places(layout, name, plans[name].sizes) for name in moving}
    zeros = [] if wanted.symbols else section_layout.symbol_tables(layout)
    if not zeros and all(plan.unchanged for plan in plans.values()):
        message = f"{path.name} has exactly the GPU code that the line asks for"
        raise AlreadyRetargetedError(message)
    patches = [patch for name, places in moves.items() for patch in relocations.patches(containers[name], places)]
    for name, places in moves.items():
        section_layout.write_moved(layout, name, plans[name].pieces, places)
    if GENERATED in plans:
        changed = zip(plans[GENERATED].containers, plans[GENERATED].pieces, strict=True)
        section_layout.write_in_place(layout, changed)
    section_layout.write_patches(layout, patches, zeros)
    return Report(
        library=path.name,
        families={FAMILIES[name]: plan.facts() for name, plan in plans.items()},
        pointers=len(patches),
        symbols=not zeros,
        tools=compiler.packages,
    )


def modules(path: Path, *, wanted: Retarget, compiler: PtxCompiler) -> list[PtxModule]:
    """Return the PTX modules that ``retarget_library`` would compile, one per arch; raise what it raises."""
    layout = section_layout.read(path)
    return list(ImagePlanner(layout=layout, wanted=wanted, compiler=compiler).modules(_containers(layout)).values())


def _containers(layout: Layout) -> dict[str, list[FatbinContainer]]:
    """Return the containers of a library by section, after checking each of their entries."""
    found: dict[str, list[FatbinContainer]] = {}
    for container in fatbin.containers(layout.path):
        found.setdefault(container.section, []).append(container)
        for entry in container.entries:
            fatbin.check(entry)
    if not found:
        message = f"{layout.path.name} has no GPU code"
        raise NoGpuCodeError(message)
    for name, members in found.items():
        if name != GENERATED:
            section_layout.check_tiling(layout, name, members)
    return found
