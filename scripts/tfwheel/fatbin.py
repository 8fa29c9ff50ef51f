"""Reads which GPU code a library carries, from NVIDIA's fat binary containers inside it, without running anything.

NVIDIA does not document the format. The layout here was read from files that nvcc and nvFatbin wrote, and agrees
with what NVIDIA's ``cuobjdump`` lists of them: a container header, then entries, each a header and its payload.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from tfwheel.elf import sections
from tfwheel.errors import FatbinError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.elf import Section

MAGIC = struct.pack("<I", 0xBA55ED50)
VERSION = 1
CODE_SECTIONS = (".nv_fatbin", "__nv_relfatbin")  # hold containers and nothing else
DATA_SECTION = ".rodata"  # may hold some among other constants: TensorFlow's generated kernels do
CHUNK = 1 << 20
_HEADER = struct.Struct("<4sHHQ")  # magic, version, size of this header, bytes of entries
_ENTRY = struct.Struct("<HHIQI")  # kind, version, size of this header, bytes of payload, compressed bytes
_ARCH_AT, _PLAIN_SIZE_AT, _SMALLEST_ENTRY = 28, 56, 64
_KINDS: dict[int, Literal["PTX", "ELF"]] = {1: "PTX", 2: "ELF"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of one container: machine code ("ELF") or portable code ("PTX") for a compute capability.

    ``container`` and ``offset`` (of the payload) count bytes from the start of the file; ``size`` is what the
    payload occupies there, ``plain_size`` what it is when decompressed (the same where it is not compressed).
    """

    section: str
    container: int
    kind: Literal["PTX", "ELF"]
    arch: int
    offset: int
    size: int
    plain_size: int

    @property
    def name(self) -> str:
        """As compilers call it: ``sm_80`` for machine code, ``compute_80`` for PTX."""
        return f"{'sm' if self.kind == 'ELF' else 'compute'}_{self.arch}"


def archs_of(library: Path | bytes) -> tuple[str, ...]:
    """The GPU code in a library, for example ``("sm_75", "sm_80", "compute_90")``; empty when there is none.

    Machine code comes first, each in numeric order. Raises what ``entries`` raises.
    """
    found = {(entry.kind, entry.arch, entry.name) for entry in entries(library)}
    return tuple(name for _, _, name in sorted(found))


def entries(library: Path | bytes) -> Iterator[Entry]:
    """Every image in an ELF file (library or object), in the order of the file; memory use does not grow with it.

    Raises BadWheelError when the bytes are not an ELF file, and FatbinError on containers of a kind or version
    that this reader does not know.
    """
    with library.open("rb") if isinstance(library, Path) else io.BytesIO(library) as stream:
        for section in sections(stream):
            if section.name in (*CODE_SECTIONS, DATA_SECTION):
                yield from _entries_in(stream, section)


def _entries_in(stream: BinaryIO, section: Section) -> Iterator[Entry]:
    position, end = section.offset, section.offset + section.size
    while (start := _find(stream, position, end)) is not None:
        _, version, header_size, size = _HEADER.unpack(_read(stream, start, _HEADER.size))
        plausible = header_size == _HEADER.size and 0 < size <= end - start - _HEADER.size
        if plausible and version == VERSION:
            position = start + _HEADER.size + size
            yield from _entries_of(stream, section.name, start, position)
        elif section.name == DATA_SECTION:
            position = start + len(MAGIC)  # any program that handles containers has the magic number as a constant
        else:
            message = (
                f"{section.name}, byte {start:,}: container version {version}, header {header_size}, size {size:,}"
            )
            raise FatbinError(message)


def _entries_of(stream: BinaryIO, section: str, container: int, end: int) -> Iterator[Entry]:
    position = container + _HEADER.size
    while position < end:
        header = _read(stream, position, _SMALLEST_ENTRY)
        kind, _, header_size, size, _ = _ENTRY.unpack_from(header)
        (arch,) = struct.unpack_from("<I", header, _ARCH_AT)
        (plain_size,) = struct.unpack_from("<Q", header, _PLAIN_SIZE_AT)
        offset = position + header_size
        if kind not in _KINDS or header_size < _SMALLEST_ENTRY or offset + size > end:
            message = f"{section}, byte {position:,}: entry of kind {kind}, header {header_size}, size {size:,}"
            raise FatbinError(message)
        yield Entry(
            section=section,
            container=container,
            kind=_KINDS[kind],
            arch=arch,
            offset=offset,
            size=size,
            plain_size=plain_size or size,
        )
        position = offset + size


def _find(stream: BinaryIO, start: int, end: int) -> int | None:
    """Where the next magic number stands, in pieces, so that a library of a gigabyte never stands in memory."""
    while start <= end - _HEADER.size:
        piece = _read(stream, start, min(CHUNK, end - start))
        found = piece.find(MAGIC)
        if found >= 0:
            return start + found if start + found <= end - _HEADER.size else None
        start += max(len(piece) - len(MAGIC) + 1, 1)
    return None


def _read(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    data = stream.read(size)
    if len(data) < size:
        message = f"the file ends at byte {offset + len(data):,}, within a section"
        raise FatbinError(message)
    return data
