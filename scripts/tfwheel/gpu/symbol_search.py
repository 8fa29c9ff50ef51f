"""Find symbols of a library by searching its tables: those of TensorFlow have a million entries, too many to read."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.gpu import elf

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator, Mapping

    from tfwheel.gpu.elf import Section


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A symbol that the library defines: its name, its address in memory and its size in bytes."""

    name: str
    address: int
    size: int


def named(name: str, data: mmap.mmap, sections: Mapping[str, Section]) -> Iterator[Symbol]:
    """Yield all symbols of that name."""
    strings = sections.get(".strtab")
    for place in occurrences(b"\0" + name.encode() + b"\0", data, strings):
        yield from _entries(place + 1, name, data, sections)


def beginning(start: str, data: mmap.mmap, sections: Mapping[str, Section]) -> Iterator[Symbol]:
    """Yield all symbols whose names begin so."""
    strings = sections.get(".strtab")
    for place in occurrences(b"\0" + start.encode(), data, strings):
        name = data[place + 1 : data.find(b"\0", place + 1)].decode("ascii", "replace")
        yield from _entries(place + 1, name, data, sections)


def ending(end: str, data: mmap.mmap, sections: Mapping[str, Section]) -> Iterator[Symbol]:
    """Yield all symbols whose names end so; a linker may let a name begin inside another one, which is left out."""
    strings = sections.get(".strtab")
    for place in occurrences(end.encode() + b"\0", data, strings):
        first = data.rfind(b"\0", 0, place) + 1
        name = data[first : place + len(end)].decode("ascii", "replace")
        yield from _entries(first, name, data, sections)


def file_offset(address: int, sections: Mapping[str, Section]) -> int | None:
    """Return where in the file the byte of an address is, None where it is in no section or in several."""
    found = [
        part.offset + address - part.address
        for part in sections.values()
        if part.address and part.address <= address < part.address + part.size
    ]
    return found[0] if len(found) == 1 else None


def occurrences(word: bytes, data: mmap.mmap, section: Section | None) -> Iterator[int]:
    """Yield the file offsets of all occurrences of some bytes in a section; none without the section."""
    if section is None:
        return
    end = section.offset + section.size
    found = data.find(word, section.offset, end)
    while found >= 0:
        yield found
        found = data.find(word, found + 1, end)


def _entries(place: int, name: str, data: mmap.mmap, sections: Mapping[str, Section]) -> Iterator[Symbol]:
    """Yield the entries of the symbol table whose name is the one at a place of the file; those of others are left out.

    An entry without a section (SHN_UNDEF) is of a symbol that another library defines.
    """
    table = sections.get(".symtab")
    reference = struct.pack("<I", place - sections[".strtab"].offset)
    for entry in occurrences(reference, data, table):
        if table and (entry - table.offset) % elf.SYMBOL.size == 0:
            _, _, _, section, address, size = elf.SYMBOL.unpack_from(data, entry)
            if section:
                yield Symbol(name=name, address=address, size=size)
