"""The comparison of two libraries on files that no writer would make: an answer or our error."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

import hunting
from fakeelf import PTX, container
from gpulibraries import changed, packed, ptx, usual
from tfwheel.checks.errors import RetargetGateError

if TYPE_CHECKING:
    from pathlib import Path


def compare(folder: Path, official: bytes, now: bytes) -> None:
    """Compare two files, without symbol tables in question."""
    (folder / "official.so").write_bytes(official)
    (folder / "library.so").write_bytes(now)
    hunting._compare(folder / "official.so", folder / "library.so", symbols=True)


def refusal(folder: Path, official: bytes, now: bytes) -> str:
    with pytest.raises(RetargetGateError) as caught:
        compare(folder, official, now)
    return caught.value.message


def test_a_library_is_equal_to_itself(tmp_path: Path) -> None:
    compare(tmp_path, usual().to_bytes(), usual().to_bytes())


def test_a_container_that_grows_over_the_constants_behind_it(tmp_path: Path) -> None:
    text = packed(PTX, 90, ptx("add"))
    longer = text[:8] + struct.pack("<Q", struct.unpack_from("<Q", text, 8)[0] + 8) + text[16:] + bytes(8)
    official = changed(generated=[container(text), b"constant" * 5]).to_bytes()
    now = changed(generated=[container(longer), b"constant" * 4]).to_bytes()
    assert "leaves the room of the official one" in refusal(tmp_path, official, now)


def with_header(data: bytes, section: int, field: int, value: int) -> bytes:
    """The library with another number in a section header: its offset is at 24, its size at 32."""
    odd = bytearray(data)
    (headers,) = struct.unpack_from("<Q", data, 40)
    struct.pack_into("<Q", odd, headers + 64 * section + field, value)
    return bytes(odd)


def test_a_section_that_is_somewhere_else_now(tmp_path: Path) -> None:
    official = usual().to_bytes()
    now = official
    for section, other in ((4, 5), (5, 4)):
        start = struct.unpack_from("<Q", official, 40)[0] + 64 * other
        for field in (24, 32):
            now = with_header(now, section, field, *struct.unpack_from("<Q", official, start + field))
    assert "is not where .nv_fatbin was" in refusal(tmp_path, official, now)


def test_relocations_that_are_cut(tmp_path: Path) -> None:
    odd = with_header(usual().to_bytes(), 2, 32, 95)
    assert ".rela.dyn has 95 bytes, which are no relocations of 24" in refusal(tmp_path, odd, odd)


def test_hostile_libraries_are_compared_or_refused(tmp_path: Path) -> None:
    found = hunting.hunt("compared", tmp_path, seed=1, count=200)
    assert found["refused"] > 150
    assert found["read"]
