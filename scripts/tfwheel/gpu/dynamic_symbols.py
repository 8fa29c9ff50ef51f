"""Read the symbols that a library asks others for at load time, and those that it has for others (its ``.dynsym``).

As in elf.py no number of the file is trusted. The file is mapped, not read: the names in libtensorflow_cc.so.2 have
83 MB, and its table 450,000 entries.
"""

from __future__ import annotations

import mmap
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tfwheel.errors import BadWheelError
from tfwheel.gpu import elf, symbol_versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tfwheel.gpu.elf import Section

RELOCATABLE = 1  # e_type of an object file, which nothing loads
TABLES = ("SHT_DYNAMIC", "SHT_DYNSYM", "SHT_GNU_versym", "SHT_GNU_verdef", "SHT_GNU_verneed")
PROGRAM = struct.Struct("<IIQQQQQQ")  # type, flags, offset, ... (gABI, Elf64_Phdr)
PT_DYNAMIC = 2  # where a loader finds the same without sections
WEAK = 2  # STB_WEAK: the library does without it
PUBLIC = (1, WEAK, 10)  # STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE
VISIBLE = (0, 3)  # STV_DEFAULT, STV_PROTECTED
UNVERSIONED = (0, 1)  # VER_NDX_LOCAL, VER_NDX_GLOBAL
HIDDEN = 0x8000  # a version that only those who ask for it get


class Reference(NamedTuple):
    """An undefined symbol that the library cannot do without; ``library`` is the one that was to have this version."""

    name: str
    version: str | None
    library: str | None


class Definition(NamedTuple):
    """A symbol for others; whoever asks for no version gets a ``default`` one."""

    name: bytes
    version: str | None
    default: bool


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What a library asks for at load time; ``soname`` is the name that others need it by."""

    soname: str | None
    needed: tuple[str, ...]
    references: tuple[Reference, ...]


def interface(path: Path) -> Interface | None:
    """Return what a library asks for, None for what is no x86-64 library or program; BadWheelError if it is broken."""
    with _opened(path) as table:
        if table is None:
            return None
        return Interface(
            soname=table.dynamic.soname, needed=table.dynamic.needed, references=tuple(sorted(set(_references(table))))
        )


def definitions(path: Path) -> Iterator[Definition]:
    """Yield all symbols that a library has for others; raise BadWheelError if it is broken."""
    with _opened(path) as table:
        if table is None:
            return
        defined = {index: table.text(at) for index, at in symbol_versions.defined(*table.versions("SHT_GNU_verdef"))}
        for name, index, info, other, section in table.entries():
            if section and info >> 4 in PUBLIC and other & 3 in VISIBLE:
                number = index & symbol_versions.NUMBER
                yield Definition(name, None if number in UNVERSIONED else defined[number], index < HIDDEN)


def _references(table: _Table) -> Iterator[Reference]:
    wanted = {
        one.number: (table.text(one.name), table.text(one.library))
        for one in symbol_versions.needed(*table.versions("SHT_GNU_verneed"))
    }
    for name, index, info, _, section in table.entries():
        if not section and info >> 4 in PUBLIC and info >> 4 != WEAK and name:
            number = index & symbol_versions.NUMBER
            yield Reference(name.decode(errors="replace"), *((None, None) if number in UNVERSIONED else wanted[number]))


class _Table:
    """The dynamic symbols of a mapped file, with its other sections."""

    def __init__(self, data: mmap.mmap, dynamic: elf.Dynamic, sections: Mapping[str, Section]) -> None:
        self.dynamic, self._data, self._sections = dynamic, data, sections
        self._strings = sections.get("SHT_STRTAB")
        self._left = elf.NAMES_PER_BYTE * (self._strings.size if self._strings else 0)

    def entries(self) -> Iterator[tuple[bytes, int, int, int, int]]:
        """Yield name, index of the version, st_info, st_other and section of each symbol; ValueError if broken."""
        table = self._content("SHT_DYNSYM")
        count = len(table) // elf.SYMBOL.size
        indexes = self._content("SHT_GNU_versym") or struct.pack("<H", UNVERSIONED[-1]) * count
        if len(table) % elf.SYMBOL.size or len(indexes) != 2 * count:
            message = f"{len(table):,} bytes of dynamic symbols have {len(indexes):,} bytes of versions"
            raise ValueError(message)
        for (at, info, other, section, _, _), (index,) in zip(
            elf.SYMBOL.iter_unpack(table), struct.iter_unpack("<H", indexes), strict=True
        ):
            yield self._name(at), index, info, other, section

    def versions(self, kind: str) -> tuple[bytes, int]:
        """Return content and number of records of a section of versions."""
        return self._content(kind), self._sections[kind].info if kind in self._sections else 0

    def text(self, at: int) -> str:
        """Return a name as text."""
        return self._name(at).decode(errors="replace")

    def _content(self, kind: str) -> bytes:
        section = self._sections.get(kind)
        if section is None:
            return b""
        if section.size > elf.LARGEST_TABLE:
            message = f"a table at byte {section.offset:,} has {section.size:,} bytes"
            raise ValueError(message)
        return self._data[section.offset : section.offset + section.size]

    def _name(self, at: int) -> bytes:
        if self._strings is None or at >= self._strings.size:
            message = f"there is no name at byte {at:,}"
            raise ValueError(message)
        start = self._strings.offset + at
        end = self._data.find(b"\0", start, self._strings.offset + self._strings.size)
        self._left -= end - start
        if end < 0 or self._left < 0:
            message = f"the name at byte {at:,} has no end, or all names are too long together"
            raise ValueError(message)
        return self._data[start:end]


@contextmanager
def _opened(path: Path) -> Iterator[_Table | None]:
    """Map a file; None for one that no loader of x86-64 takes."""
    try:
        with path.open("rb") as stream:
            if not elf.is_x86_64(stream) or _header(stream)[1] == RELOCATABLE:
                yield None
                return
            sections = _sections(stream)
            dynamic = elf.dynamic(stream)
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield _Table(data, dynamic, sections)
    except (ValueError, KeyError, struct.error, OSError) as error:
        message = f"{path} has dynamic symbols that cannot be read: {error}"
        raise BadWheelError(message) from error


def _header(stream: BinaryIO) -> tuple[int, ...]:
    stream.seek(0)
    return elf.HEADER.unpack(stream.read(elf.HEADER.size))


def _sections(stream: BinaryIO) -> dict[str, Section]:
    """Return the dynamic sections by kind, and as SHT_STRTAB that of their names.

    Raises ValueError if there are two of a kind, if they do not share their names, or if only a loader finds them.
    """
    everything = elf.sections(stream)
    found: dict[str, Section] = {}
    for section in everything:
        if section.kind in TABLES and found.setdefault(section.kind, section) is not section:
            message = f"it has two sections of the kind {section.kind}"
            raise ValueError(message)
    if not {"SHT_DYNAMIC", "SHT_DYNSYM"} <= found.keys() and _is_loaded(stream):
        message = "its section headers lack those of the dynamic symbols, and a loader would take them nevertheless"
        raise ValueError(message)
    links = {section.link for kind, section in found.items() if kind != "SHT_GNU_versym"}
    names = [section for section in everything if section.number in links and section.kind == "SHT_STRTAB"]
    if len(links) > 1 or len(names) != len(links):
        message = "its dynamic symbols do not have one table of names"
        raise ValueError(message)
    return found | {section.kind: section for section in names}


def _is_loaded(stream: BinaryIO) -> bool:
    _, _, _, _, _, start, _, _, _, size, count, *_ = _header(stream)
    if count and size != PROGRAM.size:
        message = f"its program headers have {size} bytes instead of {PROGRAM.size}"
        raise ValueError(message)
    stream.seek(start)
    return any(kind == PT_DYNAMIC for kind, *_ in PROGRAM.iter_unpack(stream.read(count * size)))
