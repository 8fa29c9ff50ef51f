"""The reader of GPU code on containers whose every byte is known, among data that only looks like one."""

from __future__ import annotations

import io
import struct
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hunting
from fakeelf import ELF, PTX, Part, container, elf, entry
from tfwheel.errors import BadWheelError, FactoryError
from tfwheel.gpu import fatbin
from tfwheel.gpu.elf import Section
from tfwheel.gpu.errors import FatbinError

if TYPE_CHECKING:
    from pathlib import Path

USUAL = container(entry(ELF, 90), entry(ELF, 75), entry(PTX, 90, plain_size=4000, header_size=80), entry(ELF, 120))
MAGIC = USUAL[:4]


def library(data: bytes, section: str = ".nv_fatbin") -> bytes:
    return elf(Part(name=".text", data=b"\xc3"), Part(name=section, data=data))


def test_names_the_archs_in_numeric_order_with_ptx_last() -> None:
    assert fatbin.archs_of(library(USUAL)) == ("sm_75", "sm_90", "sm_120", "compute_90")


def test_reads_a_file_as_it_reads_bytes(tmp_path: Path) -> None:
    path = tmp_path / "op.so"
    path.write_bytes(library(USUAL))
    assert fatbin.archs_of(path) == fatbin.archs_of(library(USUAL))


def test_entries_say_where_their_payload_stands() -> None:
    data = library(container(entry(ELF, 80, b"machine code ..."), entry(PTX, 90, b"portable", plain_size=99)))
    first, second = fatbin.entries(data)
    assert (first.kind, first.arch, first.name, first.plain_size) == ("ELF", 80, "sm_80", 16)
    assert data[first.offset : first.offset + first.size] == b"machine code ..."
    assert (second.kind, second.name, second.size, second.plain_size) == ("PTX", "compute_90", 8, 99)
    assert data[second.offset : second.offset + second.size] == b"portable"
    assert data[first.container : first.container + 4] == MAGIC
    assert first.container == second.container


@pytest.mark.parametrize("section", [".nv_fatbin", "__nv_relfatbin", ".rodata"])
def test_finds_every_container_of_a_section_that_may_hold_some(section: str) -> None:
    data = USUAL + bytes(24) + USUAL + container(entry(ELF, 60))
    found = list(fatbin.entries(library(data, section)))
    assert len({part.container for part in found}) == 3
    assert {part.section for part in found} == {section}


def test_other_sections_are_not_looked_at() -> None:
    assert fatbin.archs_of(library(USUAL, ".data")) == ()


def test_a_library_without_gpu_code_has_no_archs() -> None:
    assert fatbin.archs_of(library(b"", ".rodata")) == ()


@pytest.mark.parametrize(
    "before", [fatbin.CHUNK - 2, fatbin.CHUNK - 1, fatbin.CHUNK, fatbin.CHUNK + 1, 3 * fatbin.CHUNK]
)
def test_finds_a_container_across_the_pieces_in_which_it_reads(before: int) -> None:
    assert fatbin.archs_of(library(bytes(before) + USUAL, ".rodata")) == ("sm_75", "sm_90", "sm_120", "compute_90")


@pytest.mark.parametrize(
    "noise",
    [MAGIC, MAGIC + b"random bytes that are no header", container(entry(ELF, 80), header_size=24), USUAL[:40]],
    ids=["at the end", "text", "odd header", "larger than the section"],
)
def test_the_magic_number_as_a_mere_constant_does_not_count(noise: bytes) -> None:
    assert fatbin.archs_of(library(noise, ".rodata")) == ()


def test_a_container_after_such_a_constant_does() -> None:
    assert fatbin.archs_of(library(MAGIC + bytes(4) + container(entry(ELF, 80)), ".rodata")) == ("sm_80",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (container(entry(ELF, 80), version=2), "container version 2"),
        (USUAL[:40], "size"),
        (container(entry(7, 80)), "entry of kind 7"),
        (container(entry(ELF, 80)[:-1]), "entry of kind 2"),
        (container(entry(ELF, 80)[:20]), "header of an entry is cut after 20 bytes"),
    ],
    ids=["newer version", "cut container", "unknown kind", "cut payload", "cut entry header"],
)
def test_refuses_containers_it_does_not_know(data: bytes, words: str) -> None:
    with pytest.raises(FatbinError, match=words) as caught:
        fatbin.archs_of(library(data))
    assert "cuobjdump" in caught.value.remedy


def test_refuses_a_section_that_goes_on_after_the_end_of_the_file() -> None:
    data = bytearray(library(bytes(64)))
    (headers,) = struct.unpack_from("<Q", data, 40)
    struct.pack_into("<Q", data, headers + 2 * 64 + 32, 1 << 40)
    with pytest.raises(BadWheelError, match=r"section 2, \.nv_fatbin, extends to byte 1,099,511,\d+,\d+ of"):
        fatbin.archs_of(bytes(data))


def test_refuses_what_is_not_an_elf_file(tmp_path: Path) -> None:
    path = tmp_path / "op.so"
    path.write_bytes(b"PK\x03\x04 not a library")
    with pytest.raises(BadWheelError, match=r"op\.so is not a whole ELF file"):
        fatbin.archs_of(path)


@given(position=st.integers(0, len(library(USUAL)) - 1), value=st.integers(0, 255))
def test_one_wrong_byte_gives_an_answer_or_our_error(position: int, value: int) -> None:
    broken = bytearray(library(USUAL))
    broken[position] = value
    with suppress(FactoryError):
        fatbin.archs_of(bytes(broken))


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        (b".version 8.3\n.target sm_90a\n", "a"),
        (b"// .target sm_80\n.version 8.8\n.target  sm_120f, debug\n.address_size 64\n", "f"),
        (b".target sm_90a", "a"),
        (b".version 8.3\n.target sm_90\n.target sm_90a", ""),
        (b".version 8.3\n.target sm_90ab\n", ""),
        (b"", ""),
    ],
)
def test_the_suffix_says_for_which_gpus_ptx_is(text: bytes, suffix: str) -> None:
    assert fatbin.suffix(text) == suffix
    assert not fatbin.suffix(fatbin.untied(text))


def test_a_section_full_of_magic_numbers_is_read_once() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    stream = Counting(MAGIC * (fatbin.CHUNK // 2))
    section = Section(
        number=1, name=".rodata", offset=0, size=2 * fatbin.CHUNK, address=0, kind="SHT_PROGBITS", header=0, link=0
    )
    assert list(fatbin._containers_in(stream, section)) == []
    assert stream.taken < 12 * fatbin.CHUNK  # the header at each of them, and the section; it was a piece for each


def test_more_entries_than_any_program_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fatbin, "MOST_ENTRIES", 7)
    assert fatbin.archs_of(library(USUAL))
    for data in (USUAL + USUAL, container(*[entry(ELF, 80)] * 8)):
        with pytest.raises(FatbinError, match="more than 7 entries"):
            fatbin.archs_of(library(data))


@pytest.mark.parametrize(("plain", "packed"), [(256, 1), (1 << 62, 16), ((512 << 20) + 1, 16), (0, 17), (0, 0)])
def test_an_image_that_cannot_unpack_to_what_it_says_is_refused_before_it_is_unpacked(plain: int, packed: int) -> None:
    raw = bytearray(container(entry(ELF, 80, bytes(16), plain_size=plain)))
    struct.pack_into("<I", raw, 16 + 16, packed)
    (found,) = fatbin.parse(bytes(raw)).entries
    tracemalloc.start()
    try:
        with pytest.raises(FatbinError, match="bytes compressed"):
            fatbin.image(found, bytes(16))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"", USUAL, container(), USUAL + b"x", container(entry(ELF, 80)) * 2])
def test_what_is_not_exactly_one_entry_is_refused(data: bytes) -> None:
    with pytest.raises(FatbinError):
        fatbin.only_entry(data)


def test_hostile_gpu_code_is_read_or_refused(tmp_path: Path) -> None:
    found = hunting.hunt("images", tmp_path, seed=1, count=100)
    assert min(found["read"], found["refused"]) > 20
