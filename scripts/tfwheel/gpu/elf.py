"""Read the ELF structures of a library: search path, needed libraries, symbol versions, sections, symbols.

Trusts no number in the file: an offset, size or count that leads out of the file, of its section or of all measure is
a BadWheelError. pyelftools follows such numbers: a version record whose next one is itself keeps it busy for ever.
"""

from __future__ import annotations

import io
import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from tfwheel.errors import BadWheelError
from tfwheel.gpu import symbol_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # gABI, Elf64_Ehdr
SYMBOL = struct.Struct("<IBBHQQ")  # name, info, other, section, address, size (gABI, Elf64_Sym)
SECTION = struct.Struct("<IIQQQQIIQQ")  # name, type, flags, address, offset, size, link, ... (gABI, Elf64_Shdr)
DYNAMIC = struct.Struct("<QQ")  # tag, value (gABI, Elf64_Dyn)
RELA = struct.Struct("<QQQ")  # place, type, addend (gABI, Elf64_Rela)
MAGIC = b"\x7fELF"
CLASS_AT, DATA_AT, ABI_VERSION_AT = 4, 5, 8  # in the identification; the first two are 2 and 1: 64 bits, little-endian
X86_64, CUDA = 62, 190  # e_machine
SYMBOL_TABLES = (".symtab", ".strtab")  # what `strip` removes
RELATIVE = 8  # R_X86_64_RELATIVE (System V psABI for x86-64, table 4.9)
CUDA_NEWER_ABI = 8  # from this EI_ABIVERSION on, e_flags has the arch in bits 8 to 15
EXTENDED = 0xFFFF  # SHN_XINDEX: the number is in the first section header
KINDS = {
    0: "SHT_NULL", 1: "SHT_PROGBITS", 2: "SHT_SYMTAB", 3: "SHT_STRTAB", 4: "SHT_RELA", 6: "SHT_DYNAMIC",
    8: "SHT_NOBITS", 9: "SHT_REL", 11: "SHT_DYNSYM", 17: "SHT_GROUP", 19: "SHT_RELR", 0x6FFFFFFD: "SHT_GNU_verdef",
    0x6FFFFFFE: "SHT_GNU_verneed", 0x6FFFFFFF: "SHT_GNU_versym",
}  # fmt: skip
MOST_SECTIONS = 1 << 17  # the largest cubin of TensorFlow has a few thousand
LARGEST_TABLE = 64 << 20  # bytes of a table that is read whole; those of TensorFlow have under 1 MiB
STEP = 256  # bytes read at once for a name
NAMES_PER_BYTE = 8  # names may share their ends, and so be longer together than their table; linkers share little
RUNPATH, RPATH, _SONAME, _NEEDED = 29, 15, 14, 1  # tags of the dynamic section


@dataclass(frozen=True, kw_only=True)
class Dynamic:
    """The requirements of a library at load time.

    ``runpath`` is DT_RUNPATH, or the older DT_RPATH if only that is there, without repeated folders: official libraries
    repeat theirs by the hundred, and a second search finds nothing new. ``first`` says whether it is DT_RPATH, which is
    searched before LD_LIBRARY_PATH (ld.so(8)). ``versions`` maps a family of symbol versions
    ("GLIBC", "GLIBCXX", "CXXABI") to the highest required one ("2.17"). ``soname`` is the name that others need it by.
    """

    runpath: str | None = None
    first: bool = False
    soname: str | None = None
    needed: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A named part of the file; ``offset`` and ``size`` are in bytes, and within the file.

    ``number`` is its index in the section table, ``header`` the file offset of its entry there, ``link`` the index of
    the section it refers to, ``kind`` its type ("SHT_RELA", "0x7" for those that nothing here asks for), ``address``
    its memory address (0 if it is not loaded), ``info`` depends on the type.
    """

    number: int
    name: str
    offset: int
    size: int
    address: int
    kind: str
    header: int
    link: int
    info: int = 0


def dynamic(stream: BinaryIO) -> Dynamic:
    """Read the dynamic section (System V gABI, chapter 5); raise BadWheelError if it is not a whole ELF file."""
    parts = sections(stream)
    with _named(stream):
        texts: list[tuple[int, str]] = []
        names: list[str] = []
        for part in parts:
            if part.kind == "SHT_DYNAMIC":
                strings = _strings(stream, parts, part.link)
                texts += [(tag, strings.text(at)) for tag, at in _tags(stream, part)]
            elif part.kind == "SHT_GNU_verneed":
                strings = _strings(stream, parts, part.link)
                data = _read(stream, part.offset, part.size)
                names += [strings.text(one.name) for one in symbol_versions.needed(data, part.info)]
        tags = dict(texts)
        path = tags.get(RUNPATH, tags.get(RPATH))
        return Dynamic(
            runpath=path and ":".join(dict.fromkeys(path.split(":"))),
            first=RPATH in tags and RUNPATH not in tags,
            soname=tags.get(_SONAME),
            needed=tuple(text for tag, text in texts if tag == _NEEDED),
            versions=symbol_versions.highest(names),
        )


def sections(stream: BinaryIO) -> tuple[Section, ...]:
    """Return the sections that have bytes in the file, in table order; raise BadWheelError if it is not an ELF file."""
    with _named(stream):
        start, names, headers = _section_table(stream)
        if not headers:
            return ()
        strings = _Strings(stream, *headers[names][4:6])
        end = stream.seek(0, os.SEEK_END)
        found = []
        for number, (name, kind, _, address, offset, size, link, info, *_) in enumerate(headers):
            if KINDS.get(kind) in ("SHT_NULL", "SHT_NOBITS"):
                continue
            if offset + size > end or address + size > 1 << 64:
                message = (
                    f"section {number}, {strings.text(name)}, extends to byte {offset + size:,} of {end:,}, "
                    f"or over the end of memory from {address:#x} on"
                )
                raise ValueError(message)
            found.append(
                Section(
                    number=number,
                    name=strings.text(name),
                    offset=offset,
                    size=size,
                    address=address,
                    kind=KINDS.get(kind, hex(kind)),
                    header=start + number * SECTION.size,
                    link=link,
                    info=info,
                )
            )
        return tuple(found)


def by_name(found: Iterable[Section]) -> dict[str, Section]:
    """Return sections by name; raise BadWheelError if two have one name, because a reader could take either.

    The groups of an object file share theirs (System V ABI, "Section Groups"); the first one is returned.
    """
    named: dict[str, Section] = {}
    for section in found:
        if named.setdefault(section.name, section) is not section and section.kind != "SHT_GROUP":
            message = f"two sections are called {section.name!r}"
            raise BadWheelError(message)
    return named


def is_x86_64(stream: BinaryIO) -> bool:
    """Return whether it is a 64-bit little-endian file for x86-64; raise BadWheelError if it is not an ELF file."""
    with _named(stream):
        return _is_wide(_ident(stream)) and _header(stream)[1] == X86_64


def gpu_arch(cubin: bytes) -> int:
    """Return the compute capability (90) of a cubin, 0 for other ELF files; raise BadWheelError if it is no ELF file.

    It is in e_flags: in bits 0 to 7, or in bits 8 to 15 of the newer form that CUDA 12.8 writes for new GPUs.
    """
    stream = io.BytesIO(cubin)
    with _named(stream):
        _, machine, _, _, _, _, flags, *_ = _header(stream)
        newer = cubin[ABI_VERSION_AT] >= CUDA_NEWER_ABI
        return flags >> (8 if newer else 0) & 0xFF if machine == CUDA else 0


def symbols(image: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, st_info and st_other of each symbol; raise BadWheelError if the bytes are not a whole ELF file.

    Unpacks sections as plain structs for speed: a cubin has several per kernel, and a gate reads 1,400 cubins.
    """
    stream = io.BytesIO(image)
    with _named(stream):
        _, _, headers = _section_table(stream)
        for part in (part for part in headers if KINDS.get(part[1]) == "SHT_SYMTAB"):
            offset, size, link = part[4:7]
            if link >= len(headers) or offset + size > len(image) or size % SYMBOL.size:
                message = f"a symbol table of {size:,} bytes is not whole"
                raise ValueError(message)
            strings = _Strings(stream, *headers[link][4:6])
            for name, info, other, *_ in SYMBOL.iter_unpack(memoryview(image)[offset : offset + size]):
                yield strings.at(name), info, other


class _Strings:
    """A string table, not read whole: that of libtensorflow_cc.so.2 has 83 MB.

    Names together may not be much longer than it, or a small file would fill the memory.
    """

    def __init__(self, stream: BinaryIO, offset: int, size: int) -> None:
        _check_in_file(stream, offset, size)
        self._stream, self._offset, self._size = stream, offset, size
        self._known: dict[int, bytes] = {}
        self._left = NAMES_PER_BYTE * size

    def at(self, offset: int) -> bytes:
        """Return the string at an offset; raise ValueError if it has no end in the table."""
        if offset not in self._known:
            name = self._found(offset)
            self._left -= len(name)
            if self._left < 0:
                message = f"the names in a table of {self._size:,} bytes are too long together"
                raise ValueError(message)
            self._known[offset] = name
        return self._known[offset]

    def _found(self, offset: int) -> bytes:
        found = bytearray()
        for at in range(offset, self._size, STEP):
            self._stream.seek(self._offset + at)
            piece, end, _ = self._stream.read(min(STEP, self._size - at)).partition(b"\0")
            found += piece
            if end:
                return bytes(found)
        message = f"a name at byte {offset:,} of a table of {self._size:,} has no end"
        raise ValueError(message)

    def text(self, offset: int) -> str:
        """Return the same as text."""
        return self.at(offset).decode(errors="replace")


def _section_table(stream: BinaryIO) -> tuple[int, int, list[tuple[int, ...]]]:
    """Return the offset of the section headers, the index of the one for names, and the headers."""
    _, _, _, _, _, start, _, _, _, _, step, count, names = _header(stream)
    if not start:
        return 0, 0, []
    if step != SECTION.size:
        message = f"its section headers have {step} bytes instead of {SECTION.size}"
        raise ValueError(message)
    if not count or names == EXTENDED:
        _, _, _, _, _, size, link, *_ = SECTION.unpack(_read(stream, start, SECTION.size))
        count, names = count or size, link if names == EXTENDED else names
    if count > MOST_SECTIONS or names >= max(count, 1):
        message = f"it has {count:,} sections, and their names in number {names:,}"
        raise ValueError(message)
    return start, names, list(SECTION.iter_unpack(_read(stream, start, count * step)))


def _ident(stream: BinaryIO) -> bytes:
    ident = _read(stream, 0, 16)
    if not ident.startswith(MAGIC):
        message = "it does not begin with the magic number"
        raise ValueError(message)
    return ident


def _is_wide(ident: bytes) -> bool:
    return (ident[CLASS_AT], ident[DATA_AT]) == (2, 1)


def _header(stream: BinaryIO) -> tuple[int, ...]:
    """Return the fields after the identification."""
    if not _is_wide(_ident(stream)):
        message = "it is not for a 64-bit little-endian machine"
        raise ValueError(message)
    return HEADER.unpack(_read(stream, 0, HEADER.size))[1:]


def _strings(stream: BinaryIO, parts: Sequence[Section], number: int) -> _Strings:
    part = next((part for part in parts if part.number == number and part.kind == "SHT_STRTAB"), None)
    if part is None:
        message = f"section {number} should hold names, and is no string table"
        raise ValueError(message)
    return _Strings(stream, part.offset, part.size)


def _tags(stream: BinaryIO, part: Section) -> Iterator[tuple[int, int]]:
    """Yield the entries of a dynamic section that name a string, up to its end mark."""
    if part.size % DYNAMIC.size:
        message = f"a dynamic section of {part.size:,} bytes is not whole"
        raise ValueError(message)
    for tag, value in DYNAMIC.iter_unpack(_read(stream, part.offset, part.size)):
        if not tag:
            return
        if tag in (RUNPATH, RPATH, _SONAME, _NEEDED):
            yield tag, value
    message = "a dynamic section has no end"
    raise ValueError(message)


def _read(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Read bytes that must be in the file; raise ValueError if they are not, or too many."""
    _check_in_file(stream, offset, size)
    if size > LARGEST_TABLE:
        message = f"a table at byte {offset:,} has {size:,} bytes"
        raise ValueError(message)
    stream.seek(offset)
    return stream.read(size)


def _check_in_file(stream: BinaryIO, offset: int, size: int) -> None:
    end = stream.seek(0, os.SEEK_END)
    if offset + size > end:
        message = f"{size:,} bytes at byte {offset:,} of {end:,}"
        raise ValueError(message)


@contextmanager
def _named(stream: BinaryIO) -> Iterator[None]:
    try:
        yield
    except (ValueError, struct.error, OSError) as error:
        name = getattr(stream, "name", "the library")
        message = f"{name} is not a whole ELF file: {error}"
        raise BadWheelError(message) from error
