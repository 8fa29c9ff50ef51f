"""The ELF reader on files whose every byte is known, and on broken ones."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from hypothesis import example, given
from hypothesis import strategies as st
from zlib_ng import zlib_ng

import hunting
from fakeelf import DT_NEEDED, DT_RPATH, DT_RUNPATH, SHT_NOBITS, SHT_STRTAB, SHT_SYMTAB, Part, dynamic_elf, elf
from tfwheel.errors import BadWheelError
from tfwheel.gpu import symbol_versions
from tfwheel.gpu.elf import Dynamic, Section, by_name, dynamic, sections, symbols

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    old = dynamic(io.BytesIO(dynamic_elf((DT_RPATH, "/old"))))
    both = dynamic(io.BytesIO(dynamic_elf((DT_RPATH, "/old"), (DT_RUNPATH, "/new"))))
    assert (old.runpath, old.first) == ("/old", True)
    assert (both.runpath, both.first) == ("/new", False)


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


def with_number(data: bytes, at: int, form: str, value: int) -> bytes:
    """The file with another number in it."""
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def header_of(data: bytes, name: str) -> int:
    return next(section.header for section in sections(io.BytesIO(data)) if section.name == name)


def content_of(data: bytes, name: str) -> int:
    return next(section.offset for section in sections(io.BytesIO(data)) if section.name == name)


@pytest.mark.parametrize("step", [0, 8])
def test_a_record_of_versions_that_is_followed_by_itself_is_refused(step: int) -> None:
    """It kept pyelftools busy for ever."""
    data = with_number(FULL, content_of(FULL, ".gnu.version_r") + 16 + 12, "<I", step)
    with pytest.raises(BadWheelError, match=f"followed by one {step} bytes behind it"):
        dynamic(io.BytesIO(data))


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (40, "<Q", 1 << 62),  # where the section headers are
        (40, "<Q", (1 << 64) - 64),
        (58, "<H", 63),  # their size
        (58, "<H", 0),
        (60, "<H", 0xFFFF),  # their number
        (62, "<H", 200),  # the one for names
        (62, "<H", 0xFFFF),
        (4, "<B", 1),  # 32 bits
        (5, "<B", 2),  # big-endian
    ],
)
def test_a_header_that_lies_is_refused(at: int, form: str, value: int) -> None:
    for read in (dynamic, sections):
        with pytest.raises(BadWheelError, match="is not a whole ELF file"):
            read(io.BytesIO(with_number(FULL, at, form, value)))


@pytest.mark.parametrize("section", [".dynstr", ".dynamic", ".gnu.version_r", ".shstrtab"])
@pytest.mark.parametrize(("field", "value"), [(24, 1 << 62), (32, 1 << 62), (24, (1 << 64) - 1), (32, 1), (40, 99)])
def test_a_section_that_lies_is_refused(section: str, field: int, value: int) -> None:
    data = with_number(FULL, header_of(FULL, section) + field, "<Q" if field != 40 else "<I", value)
    if field == 40 and section in (".dynstr", ".shstrtab"):  # a string table refers to nothing
        assert dynamic(io.BytesIO(data)) == dynamic(io.BytesIO(FULL))
        return
    with pytest.raises(BadWheelError, match="is not a whole ELF file"):
        dynamic(io.BytesIO(data))


def test_a_dynamic_section_without_an_end_is_refused() -> None:
    at = header_of(FULL, ".dynamic") + 32
    (size,) = struct.unpack_from("<Q", FULL, at)
    for cut, words in ((16, "no end"), (8, "not whole")):
        with pytest.raises(BadWheelError, match=words):
            dynamic(io.BytesIO(with_number(FULL, at, "<Q", size - cut)))


def test_names_that_share_their_ends_do_not_fill_the_memory() -> None:
    table = b"\0" + b"x" * 4000 + b"\0"
    with pytest.raises(BadWheelError, match=r"names in a table of 4,002 bytes are too long together"):
        list(symbols(elf_with_names(table, range(1, 4001))))
    assert len(list(symbols(elf_with_names(table, [1] * 4000)))) == 4000


def elf_with_names(table: bytes, places: Sequence[int]) -> bytes:
    """A file whose symbols have their names at these places of a string table."""
    return elf(
        Part(name=".strtab", data=table, kind=SHT_STRTAB),
        Part(
            name=".symtab",
            data=b"".join(struct.pack("<IBBHQQ", at, 0, 0, 1, 0, 0) for at in places),
            kind=SHT_SYMTAB,
            link=1,
            entry_size=24,
        ),
    )


def test_two_sections_of_one_name_are_not_told_apart() -> None:
    found = sections(io.BytesIO(elf(Part(name=".data", data=b"1"), Part(name=".data", data=b"2"))))
    with pytest.raises(BadWheelError, match=r"two sections are called '\.data'"):
        by_name(found)


def test_another_reader_finds_the_same_in_a_real_library() -> None:
    with Path(zlib_ng.__file__).open("rb") as stream:
        ours, found = sections(stream), dynamic(stream)
        theirs = list(ELFFile(stream).iter_sections())
        there = [part for part in theirs if part["sh_type"] not in ("SHT_NULL", "SHT_NOBITS")]
        assert [(part.name, part["sh_offset"], part["sh_size"], part["sh_addr"]) for part in there] == [
            (part.name, part.offset, part.size, part.address) for part in ours
        ]
        (tags,) = (part for part in theirs if isinstance(part, DynamicSection))
        assert tuple(tag.needed for tag in tags.iter_tags("DT_NEEDED")) == found.needed
        (needs,) = (part for part in theirs if isinstance(part, GNUVerNeedSection))
        names = {name.name for _, versions in needs.iter_versions() for name in versions}
        assert found.versions == symbol_versions.highest(names)
        assert found.versions["GLIBC"]


def test_hostile_elf_files_are_read_or_refused(tmp_path: Path) -> None:
    found = hunting.hunt("library", tmp_path, seed=1, count=800)
    assert min(found["read"], found["refused"]) > 100
