"""The ELF reader on files whose every byte is known, and on broken ones."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fakeelf import DT_NEEDED, DT_RPATH, DT_RUNPATH, SHT_NOBITS, SHT_STRTAB, SHT_SYMTAB, Part, dynamic_elf, elf
from tfwheel.errors import BadWheelError
from tfwheel.gpu.elf import Dynamic, Section, dynamic, sections, symbols

FULL = dynamic_elf(
    (DT_NEEDED, "libtensorflow_framework.so.2"),
    (DT_NEEDED, "libc.so.6"),
    (DT_RUNPATH, "$ORIGIN/../tensorflow"),
    versions=("GLIBC_2.4", "GLIBC_2.17", "GLIBC_PRIVATE", "GLIBCXX_3.4.9", "GLIBCXX_3.4.19"),
)


def test_reads_search_path_needs_and_the_highest_versions() -> None:
    assert dynamic(io.BytesIO(FULL)) == Dynamic(
        runpath="$ORIGIN/../tensorflow",
        needed=("libtensorflow_framework.so.2", "libc.so.6"),
        versions={"GLIBC": "2.17", "GLIBCXX": "3.4.19"},
    )


def test_an_old_rpath_counts_as_search_path_unless_there_is_a_runpath() -> None:
    assert dynamic(io.BytesIO(dynamic_elf((DT_RPATH, "/old")))).runpath == "/old"
    assert dynamic(io.BytesIO(dynamic_elf((DT_RPATH, "/old"), (DT_RUNPATH, "/new")))).runpath == "/new"


def test_a_file_without_dynamic_section_asks_for_nothing() -> None:
    assert dynamic(io.BytesIO(elf(Part(name=".text", data=b"\xc3")))) == Dynamic()


def test_reads_from_wherever_the_stream_stands() -> None:
    stream = io.BytesIO(FULL)
    stream.read(4)
    assert dynamic(stream).runpath == "$ORIGIN/../tensorflow"


def test_lists_sections_that_have_bytes_in_the_file() -> None:
    image = elf(Part(name=".rodata", data=b"12345678"), Part(name=".bss", data=b"", kind=SHT_NOBITS))
    found = sections(io.BytesIO(image))
    header = len(image) - 3 * 64  # of three section headers after the empty one, which come last
    assert found[0] == Section(
        number=1, name=".rodata", offset=64, size=8, address=0, kind="SHT_PROGBITS", header=header, link=0
    )
    assert [section.name for section in found] == [".rodata", ".shstrtab"]


@pytest.mark.parametrize("read", [dynamic, sections])
@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x7fELF", FULL[:100], FULL[:-10]])
def test_refuses_what_is_not_a_whole_elf_file(read: object, data: bytes) -> None:
    with pytest.raises(BadWheelError, match="is not a whole ELF file"):
        read(io.BytesIO(data))


@given(position=st.integers(0, len(FULL) - 1), value=st.integers(0, 255))
@example(position=576, value=0)  # a string table that is none
def test_one_wrong_byte_gives_an_answer_or_our_error(position: int, value: int) -> None:
    broken = bytearray(FULL)
    broken[position] = value
    with suppress(BadWheelError):
        dynamic(io.BytesIO(broken))


def symbol_table(*symbols: tuple[int, int, int]) -> bytes:
    """A file with two names, and symbols that have these places in them, st_info and st_other."""
    entries = b"".join(struct.pack("<IBBHQQ", *symbol, 1, 0, 0) for symbol in symbols)
    return elf(
        Part(name=".strtab", data=b"\0add\0mul\0", kind=SHT_STRTAB),
        Part(name=".symtab", data=entries, kind=SHT_SYMTAB, link=1, entry_size=24),
        Part(name=".text", data=b"\xc3"),
    )


SYMBOLS = symbol_table((0, 0, 0), (1, 0x12, 0x10), (5, 0x11, 0))


def test_reads_symbols_with_their_names() -> None:
    assert list(symbols(SYMBOLS)) == [(b"", 0, 0), (b"add", 0x12, 0x10), (b"mul", 0x11, 0)]
    assert list(symbols(elf(Part(name=".text", data=b"\xc3")))) == []


@pytest.mark.parametrize("data", [b"", b"\x7fELF", SYMBOLS[:100], SYMBOLS[:-10], symbol_table((1 << 20, 0, 0))])
def test_a_symbol_table_that_is_not_whole_is_refused(data: bytes) -> None:
    with pytest.raises(BadWheelError, match=r"is not a whole ELF file|a symbol table is not whole"):
        list(symbols(data))


@given(position=st.integers(0, len(SYMBOLS) - 1), value=st.integers(0, 255))
def test_one_wrong_byte_in_a_symbol_table_gives_an_answer_or_our_error(position: int, value: int) -> None:
    broken = bytearray(SYMBOLS)
    broken[position] = value
    with suppress(BadWheelError):
        list(symbols(bytes(broken)))


@pytest.mark.parametrize("position", [5, 47])  # byte order, and the highest byte of where the section headers stand
def test_a_number_that_no_offset_can_be_is_our_error(position: int) -> None:
    broken = bytearray(SYMBOLS)
    broken[position] = 2 if position == 5 else 0x80
    with pytest.raises(BadWheelError):
        list(symbols(bytes(broken)))


@pytest.mark.parametrize("count", [0xFF000001, 7])
def test_a_count_of_versions_that_has_no_room_is_refused_and_not_believed(count: int) -> None:
    broken = bytearray(FULL)
    (at,) = (section.header + 44 for section in sections(io.BytesIO(FULL)) if section.name == ".gnu.version_r")
    assert struct.unpack_from("<I", broken, at) == (1,)  # sh_info: the libraries that versions are asked of
    struct.pack_into("<I", broken, at, count)
    with pytest.raises(BadWheelError, match=r"\d+ symbol versions are counted where there is room for 6"):
        dynamic(io.BytesIO(broken))


def test_a_count_of_one_librarys_versions_is_not_believed_either() -> None:
    broken = bytearray(FULL)
    (at,) = (section.offset + 2 for section in sections(io.BytesIO(FULL)) if section.name == ".gnu.version_r")
    assert struct.unpack_from("<H", broken, at) == (5,)
    struct.pack_into("<H", broken, at, 0xFFFF)
    with pytest.raises(BadWheelError, match="65535 symbol versions are counted"):
        dynamic(io.BytesIO(broken))


def test_a_folder_that_is_searched_again_and_again_is_named_once() -> None:
    assert dynamic(io.BytesIO(dynamic_elf((DT_RUNPATH, "/a:/b:/a:/b:/c")))).runpath == "/a:/b:/c"
