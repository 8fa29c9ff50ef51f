"""Read and write NVIDIA's fat binary containers, which hold the GPU code of a library.

NVIDIA does not document the format. The layout here was read from files that nvcc and nvFatbin wrote. It agrees with
the listings of NVIDIA's ``cuobjdump`` and with the headers in github.com/n-eiling/cuda-fatbin-decompression. All
numbers are little-endian; a container is aligned to 8 bytes::

    container  0 u32 magic BA55ED50   4 u16 version, 1   6 u16 size of this header, 16   8 u64 bytes of all entries
    entry      0 u16 kind: 1 PTX, 2 ELF (a cubin)   2 u16 version   4 u32 size of this header
               8 u64 size of the payload, padded to 8   16 u32 its compressed size without padding, if compressed
              20 u32 offset of the attributes in this header, 0 without any
              24 u16 minor  26 u16 major version   28 u32 compute capability (90 for 9.0)   32 u32, 36 u32 name
              40 u64 flags   48 u64 0   56 u64 decompressed size, 0 if not compressed
              64 16 bytes of options (PTX), or 32 of attributes (cubins for 10.0 and newer, from CUDA 12.8 on);
                 then the payload

A program finds a container through a wrapper of 24 bytes (``__fatBinC_Wrapper_t`` in CUDA's fatbinary_section.h)::

               0 u32 magic 466243B1   4 u32 version: 1, or 2 after device linking   8 address of the container
              16 address of other containers or of a name
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import lz4.block  # type: ignore[import-untyped]

from tfwheel.gpu.elf import sections
from tfwheel.gpu.errors import FatbinError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfwheel.gpu.elf import Section

MAGIC = struct.pack("<I", 0xBA55ED50)
VERSION = 1
CODE_SECTIONS = (".nv_fatbin", "__nv_relfatbin")  # hold containers and nothing else
DATA_SECTION = ".rodata"  # may hold containers among other constants: TensorFlow's generated kernels are there
ALIGNMENT = 8
WRAPPER = struct.Struct("<IIQQ")
WRAPPER_MAGIC = 0x466243B1
WRAPPER_VERSIONS = (1, 2)
CONTAINER_AT = 8  # offset in a wrapper of the address of its container
CHUNK = 1 << 20
_HEADER = struct.Struct("<4sHHQ")
HEADER_SIZE = _HEADER.size
_ENTRY = struct.Struct("<HHIQI8xIIIQ8xQ")
_KINDS: dict[int, Literal["PTX", "ELF"]] = {1: "PTX", 2: "ELF"}
_SIZES_AT, _PLAIN_SIZE_AT = 8, 56
_LZ4 = 0x2000
_TARGET = re.compile(rb"^(\.target\s+sm_\d+)([af])\b", re.MULTILINE)
_TIGHTEST = 12  # the highest level of LZ4
# 64 bit, debug, Linux, LZ4, cubin for 10.0 and newer. Known but not supported here: 0x8000, Zstandard.
_KNOWN_FLAGS = 0x1 | 0x2 | 0x10 | _LZ4 | 0x1000000
MOST_ENTRIES = 1 << 18  # of a whole file: one per GPU and part of the program; TensorFlow has under 10,000
LARGEST_IMAGE = 512 << 20  # bytes, decompressed or not; the largest of TensorFlow has 10 MB
_LZ4_RATIO = 255  # a byte of an LZ4 block stands for at most so many (github.com/lz4/lz4, doc/lz4_Block_format.md)


@dataclass(frozen=True, kw_only=True)
class FatbinEntry:
    """One image of one container: a cubin ("ELF") or PTX ("PTX") for a compute capability.

    ``container``, ``header`` and ``offset`` (of the payload) are byte offsets in the file. ``size`` is the size of the
    payload in bytes, ``packed_size`` the size of the compressed data in it (0 if not compressed), ``plain_size`` the
    decompressed size (``size`` if not compressed).
    """

    section: str
    container: int
    kind: Literal["PTX", "ELF"]
    arch: int
    header: int
    offset: int
    size: int
    packed_size: int
    plain_size: int
    flags: int

    @property
    def name(self) -> str:
        """The compilers' name for it: ``sm_80`` for a cubin, ``compute_80`` for PTX."""
        return f"{'sm' if self.kind == 'ELF' else 'compute'}_{self.arch}"

    @property
    def end(self) -> int:
        """The offset of the first byte after the payload."""
        return self.offset + self.size


@dataclass(frozen=True, kw_only=True)
class FatbinContainer:
    """The images of one part of a program, for several GPUs; ``offset`` in the file and ``size`` are in bytes."""

    section: str
    offset: int
    size: int
    entries: tuple[FatbinEntry, ...]


def archs_of(library: Path | bytes) -> tuple[str, ...]:
    """Return the GPU code in a library, for example ``("sm_75", "sm_80", "compute_90")``; empty without any.

    Cubins come before PTX, each in numeric order. Raises what ``entries`` raises.
    """
    found = {(entry.kind, entry.arch, entry.name) for entry in entries(library)}
    return tuple(name for _, _, name in sorted(found))


def entries(library: Path | bytes) -> Iterator[FatbinEntry]:
    """Yield every image in an ELF file (library or object), in file order; raise what ``containers`` raises."""
    for container in containers(library):
        yield from container.entries


def containers(library: Path | bytes) -> Iterator[FatbinContainer]:
    """Yield every container in an ELF file, in file order; memory use does not depend on the size of the file.

    Raises BadWheelError if it is not an ELF file, and FatbinError for a container of an unknown kind or version, and
    for more entries than any program has.
    """
    count = 0
    with library.open("rb") if isinstance(library, Path) else io.BytesIO(library) as stream:
        for section in sections(stream):
            for container in _containers_in(stream, section) if section.name in (*CODE_SECTIONS, DATA_SECTION) else ():
                count += len(container.entries)
                if count > MOST_ENTRIES:
                    message = f"{section.name}, byte {container.offset:,}: more than {MOST_ENTRIES:,} entries"
                    raise FatbinError(message)
                yield container


def parse(data: bytes, *, section: str = "") -> FatbinContainer:
    """Parse bytes that are exactly one container; raise FatbinError if they are not."""
    found = _container_at(io.BytesIO(data), section, 0, len(data))
    if found is None or found.size != len(data):
        message = f"{len(data):,} bytes are not one container"
        raise FatbinError(message)
    return found


def only_entry(data: bytes) -> FatbinEntry:
    """Parse bytes that are exactly one container with one entry; raise FatbinError if they are not."""
    found = parse(data).entries
    if len(found) != 1:
        message = f"a container of {len(data):,} bytes has {len(found)} entries instead of one"
        raise FatbinError(message)
    return found[0]


def pack(raw_entries: Iterable[bytes]) -> bytes:
    """Return a container of complete entries, headers included."""
    body = b"".join(raw_entries)
    return header(HEADER_SIZE + len(body)) + body


def header(size: int) -> bytes:
    """Return the header of a container of ``size`` bytes."""
    return _HEADER.pack(MAGIC, VERSION, HEADER_SIZE, size - HEADER_SIZE)


def check(entry: FatbinEntry) -> None:
    """Raise FatbinError for an entry with unknown flags, a compression other than LZ4, or sizes that cannot be.

    It looks at the header alone, so nothing is read or decompressed that says more of itself than its bytes can hold.
    """
    if entry.flags & _LZ4:
        whole = 0 < entry.packed_size <= entry.size and entry.plain_size <= _LZ4_RATIO * entry.packed_size
    else:
        whole = entry.plain_size == entry.size
    if entry.flags & ~_KNOWN_FLAGS or not whole or max(entry.size, entry.plain_size) > LARGEST_IMAGE:
        message = (
            f"{entry.section}, byte {entry.header:,}: {entry.name} with flags {entry.flags:#x}, "
            f"{entry.packed_size:,} bytes compressed, {entry.plain_size:,} not"
        )
        raise FatbinError(message)


def image(entry: FatbinEntry, payload: bytes) -> bytes:
    """Return the decompressed code of an entry from its payload (the bytes from ``offset`` to ``end``).

    Raises FatbinError for an unknown compression, and for data that contradicts the header.
    """
    check(entry)
    if not entry.flags & _LZ4:
        return payload
    try:
        plain: bytes = lz4.block.decompress(payload[: entry.packed_size], uncompressed_size=entry.plain_size)
    except (lz4.block.LZ4BlockError, ValueError, OverflowError, MemoryError) as error:
        message = f"{entry.section}, byte {entry.offset:,}: {entry.name} does not decompress: {error}"
        raise FatbinError(message) from error
    if len(plain) != entry.plain_size:
        message = f"{entry.section}, byte {entry.offset:,}: {entry.name} has {len(plain):,} bytes decompressed"
        raise FatbinError(message)
    return plain


def with_image(raw_entry: bytes, plain: bytes) -> bytes:
    """Return a compressed entry with ``plain`` as its image, compressed by LZ4 at its highest level.

    Keeps the rest of the header. Raises FatbinError for an entry that is not compressed.
    """
    entry = only_entry(pack([raw_entry]))
    if not entry.flags & _LZ4:
        message = f"{entry.name} is not compressed"
        raise FatbinError(message)
    packed: bytes = lz4.block.compress(plain, mode="high_compression", compression=_TIGHTEST, store_size=False)
    payload = packed + bytes(-len(packed) % ALIGNMENT)
    head = bytearray(raw_entry[: entry.offset - entry.header])
    struct.pack_into("<QI", head, _SIZES_AT, len(payload), len(packed))
    struct.pack_into("<Q", head, _PLAIN_SIZE_AT, len(plain))
    return bytes(head) + payload


def tightened(raw_entry: bytes) -> bytes:
    """Return an entry recompressed by LZ4 at its highest level if that is smaller; raise what ``image`` raises."""
    data = pack([raw_entry])
    entry = only_entry(data)
    again = with_image(raw_entry, image(entry, data[entry.offset : entry.end]))
    return min(again, raw_entry, key=len)


def _containers_in(stream: BinaryIO, section: Section) -> Iterator[FatbinContainer]:
    """Yield the containers of a section; read it in pieces, each once: a library can have a gigabyte."""
    position, end = section.offset, section.offset + section.size
    base, piece = position, b""
    while position <= end - HEADER_SIZE:
        if position + len(MAGIC) > base + len(piece):
            base, piece = position, _read(stream, position, min(CHUNK, end - position))
        found = piece.find(MAGIC, position - base)
        if found < 0:
            position = base + len(piece) - len(MAGIC) + 1
        elif base + found > end - HEADER_SIZE:
            return
        else:
            container = _container_at(stream, section.name, base + found, end)
            if container:
                yield container
            position = base + found + (container.size if container else len(MAGIC))


def _container_at(stream: BinaryIO, section: str, start: int, end: int) -> FatbinContainer | None:
    """Return the container at a magic number; None for the bare constant, which code that handles containers has."""
    magic, version, header_size, size = _HEADER.unpack(_read(stream, start, _HEADER.size))
    plausible = magic == MAGIC and header_size == _HEADER.size and 0 < size <= end - start - _HEADER.size
    if plausible and version == VERSION:
        whole = _HEADER.size + size
        parts = tuple(islice(_entries_of(stream, section, start, start + whole), MOST_ENTRIES + 1))
        return FatbinContainer(section=section, offset=start, size=whole, entries=parts)
    if section == DATA_SECTION and not plausible:
        return None
    message = f"{section}, byte {start:,}: container version {version}, header {header_size}, size {size:,}"
    raise FatbinError(message)


def _entries_of(stream: BinaryIO, section: str, container: int, end: int) -> Iterator[FatbinEntry]:
    position = container + _HEADER.size
    while position < end:
        if end - position < _ENTRY.size:
            message = f"{section}, byte {position:,}: the header of an entry is cut after {end - position} bytes"
            raise FatbinError(message)
        fields = _ENTRY.unpack(_read(stream, position, _ENTRY.size))
        kind, _, header_size, size, packed_size, arch, _, _, flags, plain_size = fields
        offset = position + header_size
        if kind not in _KINDS or header_size < _ENTRY.size or offset + size > end:
            message = f"{section}, byte {position:,}: entry of kind {kind}, header {header_size}, size {size:,}"
            raise FatbinError(message)
        yield FatbinEntry(
            section=section,
            container=container,
            kind=_KINDS[kind],
            arch=arch,
            header=position,
            offset=offset,
            size=size,
            packed_size=packed_size,
            plain_size=plain_size or size,
            flags=flags,
        )
        position = offset + size


def _read(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    data = stream.read(size)
    if len(data) < size:
        message = f"the file ends at byte {offset + len(data):,}, within a section"
        raise FatbinError(message)
    return data


def untied(ptx: bytes) -> bytes:
    """Return PTX for every GPU from its version on: `.target sm_90a` becomes `sm_90`, and nothing else changes.

    The suffixes "a" and "f" tie code to one GPU or family (PTX ISA, `.target`). ptxas rejects the result if the code
    uses features of that GPU or family alone.
    """
    return _TARGET.sub(rb"\1", ptx, count=1)


def suffix(ptx: bytes) -> str:
    """Return "a" for PTX for one GPU alone, "f" for one family alone, "" for every GPU from its version on."""
    # A module has one such line, near its beginning; a search for more would read megabytes.
    line = 0 if ptx.startswith(b".target") else ptx.find(b"\n.target") + 1
    found = _TARGET.match(ptx, line)
    return found[2].decode() if found else ""
