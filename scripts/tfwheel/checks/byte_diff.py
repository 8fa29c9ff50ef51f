"""Check that two versions of a library differ only in declared byte ranges, reading both in pieces."""

from __future__ import annotations

import os
import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tfwheel.checks.errors import RetargetGateError
from tfwheel.errors import BadWheelError
from tfwheel.gpu import elf, fatbin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tfwheel.gpu.byte_edit import ByteEdit
    from tfwheel.gpu.elf import Section
    from tfwheel.gpu.fatbin import FatbinContainer

CHUNK = 4 << 20  # bytes
_ZEROS = bytes(CHUNK)
RELOCATION_WORDS = elf.RELA.size // 8


class ComparedLibrary(Protocol):
    """The official and the retargeted file, the edits of XLA, and whether the symbol tables are kept."""

    @property
    def original(self) -> Path:
        """The official library."""

    @property
    def patched(self) -> Path:
        """The retargeted library."""

    @property
    def edits(self) -> Sequence[ByteEdit]:
        """The declared edits; their replacement bytes must be in the retargeted library."""

    @property
    def symbols(self) -> bool:
        """Whether the symbol tables are kept; otherwise they must be zeros."""


@dataclass(frozen=True, kw_only=True)
class _Span:
    """Bytes from ``start`` to before ``end`` that may differ, and their required value (None: other gates check it)."""

    start: int
    end: int
    now: bytes | None = None
    moved: bool = False


def unchanged(
    library: ComparedLibrary,
    before: Mapping[str, Sequence[FatbinContainer]],
    after: Mapping[str, Sequence[FatbinContainer]],
) -> str:
    """Compare the two files; return a line for the record. Raise RetargetGateError at the first undeclared change.

    These bytes may differ: sections that hold containers alone, the room of each container elsewhere, pointers to
    containers that moved (which must lead to the same container at its new place), declared edits and, if they were
    dropped, the symbol tables. Room that no container occupies any more must be zero.
    """
    size = library.original.stat().st_size
    if library.patched.stat().st_size != size:
        message = f"{library.patched.name} has {library.patched.stat().st_size:,} bytes; the official one {size:,}"
        raise RetargetGateError(message)
    try:
        with library.original.open("rb") as old, library.patched.open("rb") as new:
            sections = elf.by_name(elf.sections(old))
            _check_places(sections, after, library)
            pointers = list(_pointers(old, sections, before, after))
            spans = sorted(
                [*_code(sections, before, after), *pointers, *_edits(library), *_symbols(library, sections)],
                key=lambda span: (span.start, span.end),
            )
            _check_spans(spans, new, library)
            same = _compare(old, new, spans, library, size)
    except (BadWheelError, OSError, KeyError) as error:
        message = f"{library.patched.name} cannot be compared with the official library: {error}"
        raise RetargetGateError(message) from error
    moved = sum(span.moved for span in pointers)
    return f"{same:,} of {size:,} bytes must be the official ones and are; {moved} pointers follow their containers"


def _check_places(
    sections: Mapping[str, Section], after: Mapping[str, Sequence[FatbinContainer]], library: ComparedLibrary
) -> None:
    """Raise RetargetGateError for a container outside the section of its name, as the official library has it."""
    for name, members in after.items():
        room = sections.get(name)
        for one in members:
            if room is None or one.offset < room.offset or one.offset + one.size > room.offset + room.size:
                message = f"{library.patched.name}: the container at byte {one.offset:,} is not where {name} was"
                raise RetargetGateError(message)


def _zeros(start: int, end: int) -> Iterator[_Span]:
    """Yield bytes that must be zero, in pieces that fit into memory."""
    for at in range(start, end, CHUNK):
        now = _ZEROS if end - at >= CHUNK else bytes(end - at)
        yield _Span(start=at, end=at + len(now), now=now)


def _code(
    sections: Mapping[str, Section],
    before: Mapping[str, Sequence[FatbinContainer]],
    after: Mapping[str, Sequence[FatbinContainer]],
) -> Iterator[_Span]:
    """Yield the room for containers, which they must not leave; bytes between and after them must be zero."""
    for name, members in before.items():
        now = after.get(name, [])
        if name == fatbin.DATA_SECTION:
            rooms = [(one.offset, one.offset + one.size) for one in members]
        else:
            rooms = [(sections[name].offset, sections[name].offset + sections[name].size)]
        for start, end in rooms:
            position = start
            for container in (one for one in now if start <= one.offset < end):
                if not position <= container.offset <= end - container.size:
                    message = f"the container at byte {container.offset:,} leaves the room of the official one"
                    raise BadWheelError(message)
                yield from _zeros(position, container.offset)
                yield _Span(start=container.offset, end=container.offset + container.size)
                position = container.offset + container.size
            yield from _zeros(position, end)


def _pointers(
    stream: BinaryIO,
    sections: Mapping[str, Section],
    before: Mapping[str, Sequence[FatbinContainer]],
    after: Mapping[str, Sequence[FatbinContainer]],
) -> Iterator[_Span]:
    """Yield the words that hold the address of a container in a rewritten section, with their new values."""
    addresses: dict[int, int] = {}
    for name in set(before) - {fatbin.DATA_SECTION}:
        shift = sections[name].address - sections[name].offset
        pairs = zip(before[name], after.get(name, []), strict=False)
        addresses |= {old.offset + shift: new.offset + shift for old, new in pairs}
    if not addresses:
        return
    for table in (section for section in sections.values() if section.kind == "SHT_RELA" and section.address):
        if table.size % elf.RELA.size:
            message = f"{table.name} has {table.size:,} bytes, which are no relocations of {elf.RELA.size}"
            raise BadWheelError(message)
        words = array("Q", os.pread(stream.fileno(), table.size, table.offset))
        for index, addend in enumerate(words[2::RELOCATION_WORDS]):
            place, kind = words[RELOCATION_WORDS * index : RELOCATION_WORDS * index + 2]
            if kind != elf.RELATIVE or addend not in addresses:
                continue
            value = struct.pack("<Q", addresses[addend])
            at, moved = table.offset + 24 * index + 16, addresses[addend] != addend
            yield _Span(start=at, end=at + 8, now=value, moved=moved)
            for section in sections.values():
                if section.address and section.address <= place < section.address + section.size:
                    offset = section.offset + place - section.address
                    if os.pread(stream.fileno(), 8, offset) == struct.pack("<Q", addend):
                        yield _Span(start=offset, end=offset + 8, now=value, moved=moved)


def _edits(library: ComparedLibrary) -> Iterator[_Span]:
    for edit in library.edits:
        yield _Span(start=edit.offset, end=edit.offset + len(edit.replacement), now=edit.replacement)


def _symbols(library: ComparedLibrary, sections: Mapping[str, Section]) -> Iterator[_Span]:
    """Yield the symbol tables and their section headers, which must be zeros if they were dropped."""
    for name in () if library.symbols else elf.SYMBOL_TABLES:
        if name in sections:
            section = sections[name]
            for start, size in ((section.offset, section.size), (section.header, elf.SECTION.size)):
                yield from _zeros(start, start + size)


def _check_spans(spans: Sequence[_Span], new: BinaryIO, library: ComparedLibrary) -> None:
    """Raise RetargetGateError for a span whose bytes are not the required ones."""
    for span in spans:
        if span.now is None:
            continue
        found = os.pread(new.fileno(), span.end - span.start, span.start)
        if found != span.now:
            at = span.start + _first_difference(found, span.now)
            message = (
                f"{library.patched.name}, byte {at:,}: found {found[at - span.start : at - span.start + 8].hex(' ')}, "
                f"declared {span.now[at - span.start : at - span.start + 8].hex(' ')}"
            )
            raise RetargetGateError(message)


def _compare(old: BinaryIO, new: BinaryIO, spans: Sequence[_Span], library: ComparedLibrary, size: int) -> int:
    """Compare everything between the spans; return the number of compared bytes."""
    position = same = 0
    for start, end in [*((span.start, span.end) for span in spans), (size, size)]:
        for at in range(position, start, CHUNK):
            length = min(CHUNK, start - at)
            was, now = os.pread(old.fileno(), length, at), os.pread(new.fileno(), length, at)
            if was != now:
                first = at + _first_difference(was, now)
                message = (
                    f"{library.patched.name}, byte {first:,}: changed from {was[first - at]:02x} to "
                    f"{now[first - at]:02x}, and nothing was declared there"
                )
                raise RetargetGateError(message)
            same += length
        position = max(position, end)
    return same


def _first_difference(left: bytes, right: bytes) -> int:
    return next((index for index, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), 0)
