"""Move containers inside their section of a library, in place: the file keeps its size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tfwheel.gpu import elf, fatbin
from tfwheel.retarget.errors import AlreadyRetargetedError, DoesNotFitError, UnknownLayoutError
from tfwheel.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfwheel.gpu.elf import Section
    from tfwheel.gpu.fatbin import FatbinContainer

CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Span:
    """A byte range of the original library."""

    offset: int
    size: int


Piece = Span | Path | bytes  # an entry of a container: in the library, in a file of its own, or in memory


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Bytes to write at an offset of the file."""

    offset: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The sections of a library by name; ``path`` is where it is."""

    path: Path
    sections: Mapping[str, Section]


def read(path: Path) -> Layout:
    """Read the section table of a library.

    Raises BadWheelError if it is not a whole ELF file, UnknownLayoutError if it is for another machine, or has another
    form of relocations than official TensorFlow libraries, or sections that share bytes.
    """
    with path.open("rb") as stream:
        if not elf.is_x86_64(stream):
            message = f"{path.name} is not a 64-bit library for x86-64"
            raise UnknownLayoutError(message)
        found = elf.sections(stream)
    for section in found:
        if section.address and section.kind in ("SHT_REL", "SHT_RELR"):
            message = f"{path.name}: its relocations in {section.name} have an unsupported form"
            raise UnknownLayoutError(message)
    for before, after in pairwise(sorted((one for one in found if one.size), key=lambda one: one.offset)):
        if before.offset + before.size > after.offset:
            message = f"{path.name}: {before.name} and {after.name} share bytes from {after.offset:,} on"
            raise UnknownLayoutError(message)
    return Layout(path=path, sections=elf.by_name(found))


def check_tiling(layout: Layout, name: str, containers: Sequence[FatbinContainer]) -> None:
    """Check that containers fill a section without a gap, as a linker lays it out.

    Raises AlreadyRetargetedError if zeros are left after the last container, as after ``write_moved``, and
    UnknownLayoutError for any other gap.
    """
    section = layout.sections[name]
    position = section.offset
    for container in containers:
        if container.offset != position:
            message = f"{layout.path.name}: {name} has {container.offset - position} bytes before byte {position:,}"
            raise UnknownLayoutError(message)
        position += container.size
    rest = section.offset + section.size - position
    if rest and not _is_empty(layout.path, position, rest):
        message = f"{layout.path.name}: the last {rest:,} bytes of {name}, from byte {position:,} on, are no container"
        raise UnknownLayoutError(message)
    if rest:
        message = f"{layout.path.name}: the last {rest:,} bytes of {name} are empty, so it was rewritten before"
        raise AlreadyRetargetedError(message)


def _is_empty(path: Path, start: int, size: int) -> bool:
    with path.open("rb") as library:
        library.seek(start)
        return all(not any(library.read(min(CHUNK, size - at))) for at in range(0, size, CHUNK))


def new_places(layout: Layout, name: str, sizes: Sequence[int]) -> list[int]:
    """Return file offsets for consecutive containers of these sizes; raise DoesNotFitError if they do not fit."""
    section = layout.sections[name]
    places, position = [], section.offset
    for size in sizes:
        places.append(position)
        position += size + -size % fatbin.ALIGNMENT
    missing = position - section.offset - section.size
    if missing > 0:
        message = f"{layout.path.name}: {name} has {section.size:,} bytes, and {missing:,} more are needed"
        raise DoesNotFitError(message)
    return places


def symbol_tables(layout: Layout) -> list[Span]:
    """Return the byte ranges to zero to drop the symbol table and its names: both sections, and their headers.

    A header of zeros is a section of type SHT_NULL, which readers skip (gABI, "Sections"); all other sections keep
    their index. The loader needs neither section: it reads ``.dynsym``.
    """
    by_number = {part.number: part for part in layout.sections.values()}
    parts: list[Section] = []
    for table in (part for part in by_number.values() if part.kind == "SHT_SYMTAB"):
        names = by_number.get(table.link)
        if names is None or names.kind != "SHT_STRTAB" or names.address:
            message = f"{layout.path.name}: the names of {table.name} are not in a section of their own"
            raise UnknownLayoutError(message)
        parts += [table, names]
    spans = [Span(offset=part.offset, size=part.size) for part in parts]
    return spans + [Span(offset=part.header, size=elf.SECTION.size) for part in parts]


def size_of(pieces: Iterable[Piece]) -> int:
    """Return the size of a container of these entries, in bytes."""
    return fatbin.HEADER_SIZE + sum(_size(piece) for piece in pieces)


def write_moved(layout: Layout, name: str, containers: Sequence[Sequence[Piece]], places: Sequence[int]) -> None:
    """Rewrite a section: containers at their new places, zeros after the last one.

    Writes to a temporary file beside the library first, because kept entries are read from the bytes being replaced.
    """
    section = layout.sections[name]
    with layout.path.open("r+b") as library, scratch.nameless(layout.path.parent) as new:
        for pieces, place in zip(containers, places, strict=True):
            new.seek(place - section.offset)
            _write_container(new, library, pieces)
        new.truncate(section.size)
        new.seek(0)
        library.seek(section.offset)
        while chunk := new.read(CHUNK):
            library.write(chunk)


def write_in_place(layout: Layout, changed: Iterable[tuple[FatbinContainer, Sequence[Piece]]]) -> None:
    """Overwrite containers with new ones, padded with zeros to the old size."""
    with layout.path.open("r+b") as library:
        for container, pieces in changed:
            data = fatbin.pack([bytes_of(piece, library) for piece in pieces])
            library.seek(container.offset)
            library.write(data.ljust(container.size, b"\0"))


def write_patches(layout: Layout, patches: Iterable[Patch], zeros: Iterable[Span]) -> None:
    """Write the patches, and fill ``zeros`` with zeros."""
    with layout.path.open("r+b") as library:
        for patch in patches:
            library.seek(patch.offset)
            library.write(patch.data)
        for span in zeros:
            library.seek(span.offset)
            for start in range(0, span.size, CHUNK):
                library.write(bytes(min(CHUNK, span.size - start)))


def _write_container(new: IO[bytes], library: IO[bytes], pieces: Sequence[Piece]) -> None:
    new.write(fatbin.header(size_of(pieces)))
    for piece in pieces:
        new.write(bytes_of(piece, library))


def bytes_of(piece: Piece, library: IO[bytes]) -> bytes:
    """Read the bytes of one entry; only one is in memory at a time."""
    if isinstance(piece, Span):
        return os.pread(library.fileno(), piece.size, piece.offset)
    return piece.read_bytes() if isinstance(piece, Path) else piece


def _size(piece: Piece) -> int:
    if isinstance(piece, Path):
        return piece.stat().st_size
    return piece.size if isinstance(piece, Span) else len(piece)
