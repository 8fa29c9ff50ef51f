"""Read the ELF structures of a library: search path, needed libraries, symbol versions, sections, symbols."""

from __future__ import annotations

import io
import re
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from packaging.version import Version

from tfwheel.errors import BadWheelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SYMBOL = struct.Struct("<IBBHQQ")  # name, info, other, section, address, size (gABI, Elf64_Sym)
SECTION = struct.Struct("<IIQQQQIIQQ")  # name, type, flags, address, offset, size, link, ... (gABI, Elf64_Shdr)
SYMTAB = 2  # SHT_SYMTAB
SYMBOL_TABLES = (".symtab", ".strtab")  # what `strip` removes
RELA = struct.Struct("<QQQ")  # place, type, addend (gABI, Elf64_Rela)
RELATIVE = 8  # R_X86_64_RELATIVE (System V psABI for x86-64, table 4.9)
VERSION_SIZE = 16  # bytes of an Elf64_Verneed, and of an Elf64_Vernaux (LSB core, "Symbol Versioning")
CUDA_NEWER_ABI = 8  # from this EI_ABIVERSION on, e_flags has the arch in bits 8 to 15
_NUMBERED = re.compile(r"([A-Z]+)_(\d+(?:\.\d+)*)")
_TEXTS = {"DT_RUNPATH": "runpath", "DT_RPATH": "rpath", "DT_NEEDED": "needed"}  # tags and pyelftools' names for them
# Besides its own errors, pyelftools raises these for a header with wrong offsets.
_PARSER_ERRORS = (
    ELFError,
    ConstructError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True)
class Dynamic:
    """The requirements of a library at load time.

    ``runpath`` is DT_RUNPATH, or the older DT_RPATH if only that is there, without repeated folders: official libraries
    repeat theirs by the hundred, and a second search finds nothing new. ``versions`` maps a family of symbol versions
    ("GLIBC", "GLIBCXX", "CXXABI") to the highest required one ("2.17").
    """

    runpath: str | None = None
    needed: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A named part of the file; ``offset`` and ``size`` are in bytes.

    ``number`` is its index in the section table, ``header`` the file offset of its entry there, ``link`` the index of
    the section it refers to, ``kind`` its type ("SHT_RELA"), ``address`` its memory address (0 if it is not loaded).
    """

    number: int
    name: str
    offset: int
    size: int
    address: int
    kind: str
    header: int
    link: int


def dynamic(stream: BinaryIO) -> Dynamic:
    """Read the dynamic section (System V gABI, chapter 5); raise BadWheelError if it is not an ELF file."""
    with _parsed(stream) as image:
        parts = list(image.iter_sections())
        tags = [tag for part in parts if isinstance(part, DynamicSection) for tag in part.iter_tags()]
        texts = [(tag.entry.d_tag, getattr(tag, _TEXTS[tag.entry.d_tag])) for tag in tags if tag.entry.d_tag in _TEXTS]
        names = [name for part in parts if isinstance(part, GNUVerNeedSection) for name in _needed_versions(part)]
        return Dynamic(
            runpath=_once(dict(texts).get("DT_RUNPATH", dict(texts).get("DT_RPATH"))),
            needed=tuple(text for name, text in texts if name == "DT_NEEDED"),
            versions=_highest(names),
        )


def sections(stream: BinaryIO) -> tuple[Section, ...]:
    """Return the sections that have bytes in the file, in table order; raise BadWheelError if it is not an ELF file."""
    with _parsed(stream) as image:
        return tuple(
            Section(
                number=number,
                name=part.name,
                offset=part["sh_offset"],
                size=part["sh_size"],
                address=part["sh_addr"],
                kind=part["sh_type"],
                header=image["e_shoff"] + number * image["e_shentsize"],
                link=part["sh_link"],
            )
            for number, part in enumerate(image.iter_sections())
            if part["sh_type"] not in ("SHT_NULL", "SHT_NOBITS")
        )


def is_x86_64(stream: BinaryIO) -> bool:
    """Return whether it is a 64-bit little-endian file for x86-64; raise BadWheelError if it is not an ELF file."""
    with _parsed(stream) as image:
        facts = (image["e_ident"]["EI_CLASS"], image["e_ident"]["EI_DATA"], image["e_machine"])
        return facts == ("ELFCLASS64", "ELFDATA2LSB", "EM_X86_64")


def gpu_arch(cubin: bytes) -> int:
    """Return the compute capability (90) of a cubin, 0 for other ELF files; raise BadWheelError if it is no ELF file.

    It is in e_flags: in bits 0 to 7, or in bits 8 to 15 of the newer form that CUDA 12.8 writes for new GPUs.
    """
    with _parsed(io.BytesIO(cubin)) as image:
        newer = image["e_ident"]["EI_ABIVERSION"] >= CUDA_NEWER_ABI
        return image["e_flags"] >> (8 if newer else 0) & 0xFF if image["e_machine"] == "EM_CUDA" else 0


def symbols(image: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, st_info and st_other of each symbol; raise BadWheelError if the bytes are not a whole ELF file.

    Unpacks sections as plain structs for speed: a cubin has several per kernel, and a gate reads 1,400 cubins.
    """
    with _parsed(io.BytesIO(image)) as header:
        start, count, step = header["e_shoff"], header.num_sections(), header["e_shentsize"]
    try:
        parts = [SECTION.unpack_from(image, start + number * step) for number in range(count if step else 0)]
        for part in (part for part in parts if part[1] == SYMTAB):
            offset, size, link = part[4:7]
            for name, info, other, *_ in SYMBOL.iter_unpack(image[offset : offset + size]):
                at = parts[link][4] + name
                yield image[at : image.index(b"\0", at)], info, other
    except (struct.error, LookupError, ValueError, OverflowError) as error:
        message = f"a symbol table is not whole: {error}"
        raise BadWheelError(message) from error


def _needed_versions(part: GNUVerNeedSection) -> Iterator[str]:
    """Yield the symbol versions of a SHT_GNU_verneed section; raise ValueError if its counts exceed its size.

    pyelftools trusts the counts: a wrong one keeps it busy for minutes.
    """
    room = part["sh_size"] // VERSION_SIZE
    _check_count(part["sh_info"], room)
    for need, names in part.iter_versions():
        _check_count(need["vn_cnt"], room)
        yield from (name.name for name in names)


def _check_count(count: int, room: int) -> None:
    if count > room:
        message = f"{count} symbol versions are counted where there is room for {room}"
        raise ValueError(message)


@contextmanager
def _parsed(stream: BinaryIO) -> Iterator[ELFFile]:
    try:
        yield ELFFile(stream)
    except _PARSER_ERRORS as error:
        name = getattr(stream, "name", "the library")
        message = f"{name} is not a whole ELF file: {error or type(error).__name__}"
        raise BadWheelError(message) from error


def _once(path: str | None) -> str | None:
    return path and ":".join(dict.fromkeys(path.split(":")))


def _highest(names: Iterable[str]) -> dict[str, str]:
    """Return the highest number of each family: GLIBC_2.4 and GLIBC_2.17 give {"GLIBC": "2.17"}."""
    found: dict[str, str] = {}
    for match in filter(None, map(_NUMBERED.fullmatch, names)):
        family, number = match.groups()
        found[family] = max(found.get(family, "0"), number, key=Version)
    return dict(sorted(found.items()))


@dataclass(frozen=True, kw_only=True)
class Edit:
    """The bytes expected at an offset of the file, and as many bytes to replace them.

    ``symbol`` names the function or constant that holds them, ``distance`` their offset in it.
    """

    what: str
    symbol: str
    distance: int
    offset: int
    expected: bytes
    replacement: bytes
