"""Find symbols of a library by searching its tables: those of TensorFlow have a million entries, too many to read."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.errors import BadWheelError
from tfwheel.gpu import elf

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator, Mapping

    from tfwheel.gpu.elf import Section


MOST_NAMES = 16  # that are searched for; each takes a search of the symbol table


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A symbol that the library defines: its name, its address in memory and its size in bytes."""

    name: str
    address: int
    size: int


def named(name: str, data: mmap.mmap, sections: Mapping[str, Section]) -> Iterator[Symbol]:
    """Yield all symbols of that name."""
    for place in _few(b"\0" + name.encode() + b"\0", data, sections):
        yield from _entries(place + 1, name, data, sections)


def beginning(start: str, data: mmap.mmap, sections: Mapping[str, Section]) -> Iterator[Symbol]:
    """Yield all symbols whose names begin so."""
    for place in _few(b"\0" + start.encode(), data, sections):
        name = data[place + 1 : data.find(b"\0", place + 1)].decode("ascii", "replace")
        yield from _entries(place + 1, name, data, sections)


def ending(end: str, data: mmap.mmap, sections: Mapping[str, Section]) -> Iterator[Symbol]:
    """Yield all symbols whose names end so; a linker may let a name begin inside another one, which is left out."""
    for place in _few(end.encode() + b"\0", data, sections):
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
    end = _end(section)
    found = data.find(word, section.offset, end)
    while found >= 0:
        yield found
        found = data.find(word, found + 1, end)


def _few(word: bytes, data: mmap.mmap, sections: Mapping[str, Section]) -> Iterator[int]:
    """Yield the places of names; raise BadWheelError for many, for each of which the whole table would be searched."""
    for number, place in enumerate(occurrences(word, data, sections.get(".strtab"))):
        if number == MOST_NAMES:
            message = f"more than {MOST_NAMES} names of symbols have {word.decode('ascii', 'replace').strip(chr(0))}"
            raise BadWheelError(message)
        yield place


def _entries(place: int, name: str, data: mmap.mmap, sections: Mapping[str, Section]) -> Iterator[Symbol]:
    """Yield the entries of the symbol table whose name is the one at a place of the file; those of others are left out.

    An entry without a section (SHN_UNDEF) is of a symbol that another library defines.
    """
    table = sections.get(".symtab")
    reference = struct.pack("<I", place - sections[".strtab"].offset)
    for entry in occurrences(reference, data, table):
        if table and (entry - table.offset) % elf.SYMBOL.size == 0 and entry + elf.SYMBOL.size <= _end(table):
            _, _, _, section, address, size = elf.SYMBOL.unpack_from(data, entry)
            if section:
                yield Symbol(name=name, address=address, size=size)


def _end(section: Section) -> int:
    return section.offset + section.size
