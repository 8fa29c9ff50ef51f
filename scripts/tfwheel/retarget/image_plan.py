"""Plan the images of each container of a library: kept, compiled, or PTX without its suffix.

Kept entries are copied byte for byte (the one exception is in ``_movable``); new ones are compiled from the library's
own PTX. There are three families. Containers of nvcc (``.nv_fatbin``) can move and get every arch. Containers of
relocatable code (``__nv_relfatbin``) only lose archs. Kernels that MLIR generated (``.rodata``) cannot move, so every
arch must have room in each of them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.gpu import fatbin
from tfwheel.retarget import ptxas, section_layout
from tfwheel.retarget.errors import DoesNotFitError, UnknownArchError
from tfwheel.retarget.section_layout import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfwheel.config.schema import Retarget
    from tfwheel.gpu.fatbin import FatbinContainer, FatbinEntry
    from tfwheel.retarget.ptxas import PtxCompiler
    from tfwheel.retarget.section_layout import Layout, Piece

Made = Mapping[tuple[int, str], Path]  # new entries by the offset of their container and the arch
MOVABLE, RELOCATABLE, GENERATED = ".nv_fatbin", "__nv_relfatbin", fatbin.DATA_SECTION


@dataclass(frozen=True, kw_only=True)
class Family:
    """Numbers about one kind of GPU code: images per arch ("sm_80": 248) before and after, and containers in total.

    ``new`` counts images that were compiled or lost their suffix, ``without_source`` counts containers without PTX to
    compile, ``tightened`` counts entries (of generated code: containers) that were recompressed at LZ4's highest level
    to fit. ``room`` and ``used`` are in bytes.
    """

    containers: int
    before: Mapping[str, int]
    after: Mapping[str, int]
    new: Mapping[str, int]
    room: int
    used: int
    without_source: int = 0
    tightened: int = 0


@dataclass(frozen=True, kw_only=True)
class PlannedImage:
    """One entry of a planned container: kept, or new."""

    name: str
    piece: Piece
    new: bool = False


@dataclass(frozen=True, kw_only=True)
class SectionPlan:
    """The new entries of every container of a section."""

    containers: Sequence[FatbinContainer]
    images: Sequence[Sequence[PlannedImage]]
    room: int
    without_source: int = 0
    tightened: int = 0

    @property
    def pieces(self) -> list[list[Piece]]:
        """The entries of each container."""
        return [[image.piece for image in images] for images in self.images]

    @property
    def sizes(self) -> list[int]:
        """The size of each container in bytes."""
        return [section_layout.size_of(pieces) for pieces in self.pieces]

    @property
    def unchanged(self) -> bool:
        """Whether no container would change."""
        return self.sizes == [container.size for container in self.containers] and not any(
            image.new for images in self.images for image in images
        )

    def facts(self) -> Family:
        """Return the numbers for the report."""
        images = [image for each in self.images for image in each]
        return Family(
            containers=len(self.containers),
            before=_count(entry.name for container in self.containers for entry in container.entries),
            after=_count(image.name for image in images),
            new=_count(image.name for image in images if image.new),
            room=self.room,
            used=sum(self.sizes),
            without_source=self.without_source,
            tightened=self.tightened,
        )


@dataclass(frozen=True, kw_only=True)
class ImagePlanner:
    """Plans the images of one library."""

    layout: Layout
    wanted: Retarget
    compiler: PtxCompiler
    texts: dict[int, PlannedImage] = field(default_factory=dict)  # PTX for every GPU, by the offset of its entry

    def plans(self, containers: Mapping[str, Sequence[FatbinContainer]]) -> dict[str, SectionPlan]:
        """Return the plan of each section, after compiling all missing images in one call."""
        modules = self.modules(containers)
        files = ptxas.compile_all(
            list(modules.values()), self.compiler, name=f"compile GPU code of {self.layout.path.name}"
        )
        made = dict(zip(modules, files, strict=True))
        return {
            name: self._generated(members, made) if name == GENERATED else self._movable(name, members, made)
            for name, members in containers.items()
        }

    def modules(self, containers: Mapping[str, Sequence[FatbinContainer]]) -> dict[tuple[int, str], ptxas.PtxModule]:
        """Return the PTX modules to compile, by the offset of their container and the arch."""
        archs = {MOVABLE: self.wanted.archs, GENERATED: self.wanted.generated}
        return {
            (container.offset, arch): self._module(container, arch)
            for name, members in containers.items()
            for container in members
            for arch in self._missing(container, archs.get(name, ()))
        }

    def _missing(self, container: FatbinContainer, archs: Iterable[str]) -> list[str]:
        """Return the archs for which a container lacks a cubin; none if it has no PTX. Raises UnknownArchError."""
        there = {str(entry.arch) for entry in container.entries if entry.kind == "ELF"}
        missing = [arch for arch in archs if arch not in there]
        source = _source(container)
        for arch in missing if source else ():
            if source and int(arch) < source.arch:
                message = (
                    f"{self.layout.path.name}: {container.section} has no SASS for {arch}, and PTX only from "
                    f"{source.arch} on; it has {', '.join(sorted(there, key=int))}"
                )
                raise UnknownArchError(message)
        return missing if source else []

    def _module(self, container: FatbinContainer, arch: str) -> ptxas.PtxModule:
        source = _source(container)
        assert source is not None  # noqa: S101 -- without PTX, _missing returns no arch
        return ptxas.PtxModule(
            name=f"the PTX at byte {container.offset:,} of {self.layout.path.name} ({container.section})",
            size=source.plain_size,
            arch=arch,
            read=partial(self._text, source),
        )

    def _text(self, entry: FatbinEntry) -> bytes:
        with self.layout.path.open("rb") as stream:
            return fatbin.image(entry, os.pread(stream.fileno(), entry.size, entry.offset))

    def _movable(self, name: str, members: Sequence[FatbinContainer], made: Made) -> SectionPlan:
        """Give every container every arch; if there is no room, recompress entries, the largest new ones first.

        Recompresses kept entries only if that is not enough: their bytes change, their image does not.
        """
        images = [self._images(container, self.wanted.archs, made) for container in members]
        room = self.layout.sections[name].size
        over = sum(section_layout.size_of(image.piece for image in each) for each in images) - room
        tightened = 0
        for row, column in _by_need(images) if over > 0 else ():
            loose = images[row][column]
            images[row][column] = self._tightened(loose)
            over -= section_layout.size_of([loose.piece]) - section_layout.size_of([images[row][column].piece])
            tightened += 1
            if over <= 0:
                break
        if over > 0:
            raise self._too_large(name, images, room, over)
        without_source = sum(_source(container) is None for container in members) if name == MOVABLE else 0
        return SectionPlan(
            containers=members, images=images, room=room, without_source=without_source, tightened=tightened
        )

    def _too_large(self, name: str, images: Sequence[Sequence[PlannedImage]], room: int, over: int) -> DoesNotFitError:
        sizes: Counter[str] = Counter()
        for image in (image for each in images for image in each):
            sizes[image.name] += section_layout.size_of([image.piece])
        listed = ", ".join(f"{arch} {size:,}" for arch, size in sizes.items())
        enough = [arch for arch, size in sizes.items() if size >= over]
        message = (
            f"{self.layout.path.name}: {name} has {room:,} bytes and would need {over:,} more "
            f"(bytes by arch: {listed}); dropping {' or '.join(enough) or 'several'} is enough"
        )
        return DoesNotFitError(message)

    def _generated(self, members: Sequence[FatbinContainer], made: Made) -> SectionPlan:
        """Give every container every arch; raise DoesNotFitError if one has no room, with what fits by priority."""
        chosen: list[str] = []
        lacking: dict[str, list[int]] = {}
        for arch in self.wanted.generated:
            tried = [(container, self._fitting(container, [*chosen, arch], made)) for container in members]
            over = [section_layout.size_of(image.piece for image in images) - old.size for old, images in tried]
            if max(over) > 0:
                lacking[arch] = [each for each in over if each > 0]
            else:
                chosen.append(arch)
        if lacking:
            raise self._no_room(lacking, chosen, number=len(members))
        images = [self._fitting(container, chosen, made) for container in members]
        return SectionPlan(
            containers=members,
            images=images,
            room=sum(container.size for container in members),
            tightened=sum(
                each != self._images(container, chosen, made) for container, each in zip(members, images, strict=True)
            ),
        )

    def _no_room(self, lacking: Mapping[str, Sequence[int]], fits: Sequence[str], *, number: int) -> DoesNotFitError:
        listed = "; ".join(
            f"{arch} has no room in {len(over):,} of {number:,} kernels, which lack up to {max(over):,} bytes"
            for arch, over in lacking.items()
        )
        message = (
            f"{self.layout.path.name}: {GENERATED}: {listed}; in the order of `generated`, "
            f"{', '.join(fits) or 'nothing'} fits"
        )
        return DoesNotFitError(message)

    def _fitting(self, container: FatbinContainer, archs: Sequence[str], made: Made) -> list[PlannedImage]:
        """Return the entries of a planned container, recompressed as far as needed: none, the new ones, or all."""
        loose = self._images(container, archs, made)
        if section_layout.size_of(image.piece for image in loose) <= container.size:
            return loose
        images = [self._tightened(image) if image.new else image for image in loose]
        if section_layout.size_of(image.piece for image in images) <= container.size:
            return images
        return [self._tightened(image) for image in images]

    def _images(self, container: FatbinContainer, archs: Sequence[str], made: Made) -> list[PlannedImage]:
        """Return the entries of a planned container: cubins in numeric order, then PTX."""
        kept = [entry for entry in container.entries if entry.kind == "ELF" and str(entry.arch) in archs]
        images = [(entry.arch, PlannedImage(name=entry.name, piece=_span(entry))) for entry in kept]
        there = {entry.arch for entry in kept}
        images += [
            (int(arch), PlannedImage(name=f"sm_{arch}", piece=made[container.offset, arch], new=True))
            for arch in archs
            if int(arch) not in there and (container.offset, arch) in made
        ]
        texts = [entry for entry in container.entries if entry.kind == "PTX" and str(entry.arch) == self.wanted.ptx]
        chosen = [image for _, image in sorted(images, key=lambda pair: pair[0])] + list(map(self._ptx_for_all, texts))
        # Never leave a container empty: NVIDIA does not document what programs do with one.
        return chosen or [PlannedImage(name=entry.name, piece=_span(entry)) for entry in container.entries]

    def _ptx_for_all(self, entry: FatbinEntry) -> PlannedImage:
        if entry.header not in self.texts:
            text, piece = self._text(entry), _span(entry)
            tied = bool(fatbin.suffix(text))
            new = fatbin.with_image(self._raw(piece), fatbin.untied(text)) if tied else piece
            self.texts[entry.header] = PlannedImage(name=entry.name, piece=new, new=tied)
        return self.texts[entry.header]

    def _tightened(self, image: PlannedImage) -> PlannedImage:
        return replace(image, piece=fatbin.tightened(self._raw(image.piece)))

    def _raw(self, piece: Piece) -> bytes:
        with self.layout.path.open("rb") as stream:
            return section_layout.bytes_of(piece, stream)


def _source(container: FatbinContainer) -> FatbinEntry | None:
    """Return the PTX entry from which further cubins are compiled, None without one."""
    return next((entry for entry in container.entries if entry.kind == "PTX"), None)


def _by_need(images: Sequence[Sequence[PlannedImage]]) -> list[tuple[int, int]]:
    """Return the (row, column) of all images, new ones before kept ones, largest first."""
    places = [(row, column) for row, each in enumerate(images) for column in range(len(each))]
    return sorted(
        places, key=lambda at: (not images[at[0]][at[1]].new, -section_layout.size_of([images[at[0]][at[1]].piece]), at)
    )


def _span(entry: FatbinEntry) -> Span:
    return Span(offset=entry.header, size=entry.end - entry.header)


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names))
