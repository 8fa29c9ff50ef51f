"""Which GPU code an installed library has and where it searches first, read from the file, mapped, not loaded; pure.

NVIDIA does not document the format of fat binaries; ``gpu.fatbin`` says where its layout comes from. This reader trusts
no number: whatever cannot be is a ValueError.
"""

from __future__ import annotations

import mmap
import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FATBIN_MAGIC = struct.pack("<I", 0xBA55ED50)
FATBIN_HEADER = struct.Struct("<4sHHQ")  # magic, version, size of this header, bytes of all entries
FATBIN_ENTRY = struct.Struct(
    "<HHIQI8xIIIQ8xQ"
)  # kind, version, header, size, packed size, arch, -, -, flags, plain size
PTX_KIND, CUBIN_KIND = 1, 2
LZ4_FLAG = 0x2000
BIG, GENERATED, RELOCATABLE = ".nv_fatbin", ".rodata", "__nv_relfatbin"
LONG, MORE = 15, 255  # of lengths in an LZ4 block
PTX_HEAD = 2000  # bytes of PTX to look for its target in
NO_BITS = 8  # the type of a section without bytes in the file
MOST_SECTIONS, MOST_IN_CONTAINER = 1 << 16, 1 << 12
PTX_TARGET = re.compile(rb"^\.target\s+sm_\d+([af])\b", re.MULTILINE)
DYNAMIC, RPATH, RUNPATH = struct.Struct("<QQ"), 15, 29  # a row of the dynamic section, and two of its tags
MOST_ROWS = 4096
ELF_HEADER, ELF_SECTION = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQIIQQ")


def gpu_code_of(library: Path) -> dict[str, list[str]]:
    """Return the images ("sm_80", "compute_90a") that all containers of a kind have: "fatbin" and "generated".

    What one kernel lacks, a program that reaches that kernel lacks. Raises ValueError for what is not an ELF library,
    and OSError.
    """
    with library.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = [one for one in elf_sections(data) if one[0] in (BIG, GENERATED, RELOCATABLE)]
        if sum(end - start for _, start, end in found) > len(data):
            message = "sections lie on each other"
            raise ValueError(message)
        big = [names for name, start, end in found if name == BIG for names in _containers(data, start, end)]
        generated = [
            names for name, start, end in found if name == GENERATED for names in _containers(data, start, end)
        ]
        if any(name == RELOCATABLE for name, _, _ in found):  # then the linker made containers without PTX: NCCL's
            big = [names for names in big if any(one.startswith("compute_") for one in names)] or big
    kinds = {"fatbin": big, "generated": generated}
    return {kind: sort_images(frozenset.intersection(*all_of)) for kind, all_of in kinds.items() if all_of}


def searches_own_folders_first(library: Path) -> bool:
    """Return whether the folders in a library are searched before LD_LIBRARY_PATH: DT_RPATH without DT_RUNPATH.

    That is the rule of ld.so(8). A file that is not there, or is not an ELF library, searches none.
    """
    try:
        with library.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = next(((start, end) for name, start, end in elf_sections(data) if name == ".dynamic"), (0, 0))
            rows = min((found[1] - found[0]) // DYNAMIC.size, MOST_ROWS)
            tags = {tag for tag, _ in DYNAMIC.iter_unpack(data[found[0] : found[0] + rows * DYNAMIC.size])}
    except (OSError, ValueError):
        return False
    return RPATH in tags and RUNPATH not in tags


def common_code(parts: list[dict[str, list[str]]]) -> dict[str, list[str]]:
    """Return what several libraries have together: of each kind, the images that all libraries with that kind have."""
    found: dict[str, frozenset[str]] = {}
    for part in parts:
        for kind, names in part.items():
            found[kind] = found[kind] & frozenset(names) if kind in found else frozenset(names)
    return {kind: sort_images(names) for kind, names in sorted(found.items())}


def sort_images(names: frozenset[str]) -> list[str]:
    """Sort images: SASS before PTX, each in numeric order."""
    return sorted(names, key=lambda name: (not name.startswith("sm_"), int(re.sub(r"\D", "", name) or 0), name))


def elf_sections(data: mmap.mmap) -> list[tuple[str, int, int]]:
    """Return name, start and end of each section of a 64-bit little-endian ELF file; ValueError if it is not one."""
    if len(data) < ELF_HEADER.size or data[:6] != b"\x7fELF\x02\x01":
        message = "not a 64-bit ELF file"
        raise ValueError(message)
    fields = ELF_HEADER.unpack_from(data)
    start, size, count, names_at = fields[6], fields[11], fields[12], fields[13]
    if not count:
        return []
    if size != ELF_SECTION.size or start + size * count > len(data) or names_at >= min(count, MOST_SECTIONS):
        message = "the table of sections is not in the file"
        raise ValueError(message)
    rows = [ELF_SECTION.unpack_from(data, start + size * place) for place in range(count)]
    names = rows[names_at]
    found = []
    for row in rows:
        begin = names[4] + row[0]
        end = data.find(b"\0", begin, begin + 200) if begin < len(data) else 0
        inside = row[1] != NO_BITS and row[4] + row[5] <= len(data)
        if end > 0 and inside:
            found.append((data[begin:end].decode("latin-1"), row[4], row[4] + row[5]))
    return found


def _containers(data: mmap.mmap, start: int, end: int) -> Iterator[frozenset[str]]:
    """Yield the images of each container between two places of a file."""
    position = data.find(FATBIN_MAGIC, start, end)
    last = end - FATBIN_HEADER.size
    while 0 <= position <= last:
        _, version, header, size = FATBIN_HEADER.unpack_from(data, position)
        whole = FATBIN_HEADER.size + size
        if version == 1 and header == FATBIN_HEADER.size and size > 0 and position + whole <= end:
            yield frozenset(_images(data, position + header, position + whole))
            position = data.find(FATBIN_MAGIC, position + whole, end)
        else:  # the bare constant, which code that handles containers has
            position = data.find(FATBIN_MAGIC, position + 1, end)


def _images(data: mmap.mmap, position: int, end: int) -> Iterator[str]:
    for _ in range(MOST_IN_CONTAINER):
        if position + FATBIN_ENTRY.size > end:
            return
        kind, _, header, size, packed, arch, _, _, flags, _ = FATBIN_ENTRY.unpack_from(data, position)
        payload = position + header
        if kind not in (PTX_KIND, CUBIN_KIND) or header < FATBIN_ENTRY.size or payload + size > end:
            message = f"byte {position:,}: an entry of kind {kind} with {size:,} bytes"
            raise ValueError(message)
        mark = _mark(data[payload : payload + min(packed or size, PTX_HEAD)], flags) if kind == PTX_KIND else ""
        yield f"{'sm' if kind == CUBIN_KIND else 'compute'}_{arch}{mark}"
        position = payload + size


def _mark(payload: bytes, flags: int) -> str:
    """Return "a" or "f" for PTX for one GPU or family alone, else ""."""
    text = lz4_head(payload) if flags & LZ4_FLAG else payload
    found = PTX_TARGET.search(text)
    return found[1].decode() if found else ""


def lz4_head(block: bytes) -> bytes:
    """Return what the beginning of an LZ4 block stands for, as far as it is there.

    The format: github.com/lz4/lz4, doc/lz4_Block_format.md.
    """
    plain, place = bytearray(), 0
    try:
        while len(plain) < PTX_HEAD:
            token = block[place]
            size, place = _lz4_length(block, place + 1, token >> 4)
            plain += block[place : place + size]
            place += size
            back = block[place] | block[place + 1] << 8
            copied, place = _lz4_length(block, place + 2, token & LONG)
            for _ in range(min(copied + 4, PTX_HEAD)):
                plain.append(plain[-back])
    except IndexError:  # the end of what was given
        pass
    return bytes(plain)


def _lz4_length(block: bytes, place: int, length: int) -> tuple[int, int]:
    """Return a length and the place after it: 15 goes on in the next byte, and that one if it is 255, too."""
    if length == LONG:
        while block[place] == MORE:
            length += MORE
            place += 1
        length += block[place]
        place += 1
    return length, place
