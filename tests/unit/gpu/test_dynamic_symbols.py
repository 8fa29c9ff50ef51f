"""The reader of dynamic symbols, on files whose every byte is known, on broken ones, and beside another reader."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerSymSection
from elftools.elf.sections import SymbolTableSection
from zlib_ng import zlib_ng

import hunting
from fakeelf import SHT_DYNSYM, SHT_STRTAB, Part, Symbol, dynamic_elf, elf, linked_elf, undefined
from tfwheel.errors import BadWheelError
from tfwheel.gpu.dynamic_symbols import Definition, Interface, Reference, definitions, interface

WEAK, UNIQUE, LOCAL = 2, 10, 0
PT_DYNAMIC, RELOCATABLE, CUDA = 2, 1, 190


def library(folder: Path, data: bytes) -> Path:
    path = folder / "library.so"
    path.write_bytes(data)
    return path


def test_reads_what_a_library_asks_for(tmp_path: Path) -> None:
    data = linked_elf(
        undefined("memcpy", "GLIBC_2.14", "libc.so.6"),
        undefined("free", "GLIBC_2.2.5", "libc.so.6"),
        undefined("TF_Version"),
        undefined("__gmon_start__", binding=WEAK),
        Symbol(name="op"),
        needed=("libc.so.6", "libtensorflow_cc.so.2"),
        soname="_ops.so",
    )
    assert interface(library(tmp_path, data)) == Interface(
        soname="_ops.so",
        needed=("libc.so.6", "libtensorflow_cc.so.2"),
        references=(
            Reference("TF_Version", None, None),
            Reference("free", "GLIBC_2.2.5", "libc.so.6"),
            Reference("memcpy", "GLIBC_2.14", "libc.so.6"),
        ),
    )


def test_reads_what_a_library_has_for_others(tmp_path: Path) -> None:
    data = linked_elf(
        Symbol(name="op"),
        Symbol(name="versioned", version="TF_1"),
        Symbol(name="old", version="TF_0", hidden=True),
        Symbol(name="weak", binding=WEAK),
        Symbol(name="unique", binding=UNIQUE),
        Symbol(name="local", binding=LOCAL),
        Symbol(name="protected", visibility=3),
        Symbol(name="internal", visibility=1),
        Symbol(name="invisible", visibility=2),
        undefined("memcpy", "GLIBC_2.14", "libc.so.6"),
    )
    assert list(definitions(library(tmp_path, data))) == [
        Definition(b"op", None, default=True),
        Definition(b"versioned", "TF_1", default=True),
        Definition(b"old", "TF_0", default=False),
        Definition(b"weak", None, default=True),
        Definition(b"unique", None, default=True),
        Definition(b"protected", None, default=True),
    ]


def test_a_library_without_versions_has_its_symbols_without_them(tmp_path: Path) -> None:
    path = library(tmp_path, linked_elf(Symbol(name="op"), undefined("memcpy")))
    assert list(definitions(path)) == [Definition(b"op", None, default=True)]
    assert interface(path) == Interface(soname=None, needed=(), references=(Reference("memcpy", None, None),))


@pytest.mark.parametrize(("at", "value"), [(16, RELOCATABLE), (18, CUDA)])
def test_what_no_loader_takes_asks_for_nothing(tmp_path: Path, at: int, value: int) -> None:
    data = bytearray(linked_elf(undefined("missing")))
    struct.pack_into("<H", data, at, value)
    path = library(tmp_path, bytes(data))
    assert interface(path) is None
    assert list(definitions(path)) == []


def test_a_library_that_links_and_uses_nothing_asks_for_nothing(tmp_path: Path) -> None:
    path = library(tmp_path, elf(Part(name=".text", data=b"\xc3")))
    assert interface(path) == Interface(soname=None, needed=(), references=())
    assert list(definitions(path)) == []


def with_program_header(data: bytes, kind: int, size: int = 56) -> bytes:
    """The file with one program header, at its end."""
    changed = bytearray(data) + struct.pack("<IIQQQQQQ", kind, 0, 0, 0, 0, 0, 0, 0)
    struct.pack_into("<Q", changed, 32, len(data))
    struct.pack_into("<HH", changed, 54, size, 1)
    return bytes(changed)


def test_a_library_whose_section_headers_were_removed_is_refused_since_a_loader_takes_it(tmp_path: Path) -> None:
    bare = elf(Part(name=".text", data=b"\xc3"))
    for data, words in (
        (with_program_header(bare, PT_DYNAMIC), "a loader would take them nevertheless"),
        (with_program_header(dynamic_elf((1, "libc.so.6")), PT_DYNAMIC), "a loader would take them nevertheless"),
        (with_program_header(bare, PT_DYNAMIC, size=8), "its program headers have 8 bytes instead of 56"),
    ):
        with pytest.raises(BadWheelError, match=words):
            interface(library(tmp_path, data))
    assert interface(library(tmp_path, with_program_header(bare, 1)))


NAMES = Part(name=".dynstr", data=b"\0add\0", kind=SHT_STRTAB)


def table(*names: int) -> bytes:
    return b"".join(struct.pack("<IBBHQQ", at, 0x12, 0, 1, 0, 0) for at in names)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((NAMES, Part(name=".dynsym", data=table(1)[:-1], kind=SHT_DYNSYM, link=1)), "bytes of dynamic symbols"),
        ((NAMES, Part(name=".dynsym", data=table(5), kind=SHT_DYNSYM, link=1)), "there is no name at byte 5"),
        ((NAMES, Part(name=".dynsym", data=table(1), kind=SHT_DYNSYM, link=9)), "not have one table of names"),
        ((NAMES, Part(name=".dynsym", data=table(1), kind=SHT_DYNSYM, link=2)), "not have one table of names"),
        (
            (NAMES, *(Part(name=f".dynsym{number}", data=table(1), kind=SHT_DYNSYM, link=1) for number in "12")),
            "two sections of the kind SHT_DYNSYM",
        ),
        (
            (
                Part(name=".dynstr", data=b"\0add", kind=SHT_STRTAB),
                Part(name=".dynsym", data=table(1), kind=SHT_DYNSYM, link=1),
            ),
            "the name at byte 1 has no end",
        ),
        (
            (
                Part(name=".dynstr", data=b"\0" + b"x" * 999 + b"\0", kind=SHT_STRTAB),
                Part(name=".dynsym", data=table(*range(1, 1000)), kind=SHT_DYNSYM, link=1),
            ),
            "all names are too long together",
        ),
    ],
)
def test_tables_that_lie_are_refused(tmp_path: Path, parts: tuple[Part, ...], words: str) -> None:
    with pytest.raises(BadWheelError, match=words):
        list(definitions(library(tmp_path, elf(*parts))))


def test_a_number_of_a_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    data = linked_elf(Symbol(name="op", version="TF_1"), undefined("free", "GLIBC_2.2.5", "libc.so.6"))
    for read in (lambda path: list(definitions(path)), interface):
        broken = data.replace(struct.pack("<HHH", 0, 2, 3), struct.pack("<HHH", 0, 7, 8))
        assert broken != data
        with pytest.raises(BadWheelError, match="dynamic symbols that cannot be read"):
            read(library(tmp_path, broken))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x7fELF", linked_elf(Symbol(name="op"))[:-10]])
def test_what_is_no_whole_elf_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = library(tmp_path, data)
    with pytest.raises(BadWheelError):
        interface(path)
    with pytest.raises(BadWheelError):
        list(definitions(path))


def test_another_reader_finds_the_same_in_a_real_library() -> None:
    path = Path(zlib_ng.__file__)
    found = interface(path)
    assert found
    with path.open("rb") as stream:
        sections = list(ELFFile(stream).iter_sections())
        (symbols,) = (one for one in sections if isinstance(one, SymbolTableSection) and one.name == ".dynsym")
        everything = list(symbols.iter_symbols())
        assert any(isinstance(one, GNUVerSymSection) for one in sections)
    asked = {
        one.name
        for one in everything
        if one.name and one["st_shndx"] == "SHN_UNDEF" and one["st_info"]["bind"] == "STB_GLOBAL"
    }
    assert {one.name for one in found.references} == asked
    assert any(one.version and one.library == "libc.so.6" for one in found.references)
    there = {one.name for one in everything if one["st_shndx"] != "SHN_UNDEF" and one["st_info"]["bind"] != "STB_LOCAL"}
    assert {one.name.decode() for one in definitions(path)} == there


def test_hostile_dynamic_symbols_are_read_or_refused(tmp_path: Path) -> None:
    found = hunting.hunt("symbols", tmp_path, seed=1, count=800)
    assert min(found["read"], found["refused"]) > 100
