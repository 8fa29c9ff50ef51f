"""Tables of needed symbol versions, record by record; test_elf.py reads them from files."""

from __future__ import annotations

import struct

import pytest

from tfwheel.gpu import symbol_versions


def need(names: int, following: int, first: int = 16) -> bytes:
    return symbol_versions.VERSION_NEED.pack(1, names, 0, first, following)


def name(at: int, following: int, index: int = 0) -> bytes:
    return symbol_versions.VERSION_NAME.pack(0, 0, index, at, following)


def names(data: bytes, count: int) -> list[int]:
    return [one.name for one in symbol_versions.needed(data, count)]


def definition(index: int, at: int, following: int) -> bytes:
    record = symbol_versions.VERSION_DEFINITION.pack(1, 0, index, 1, 0, 20, following)
    return record + struct.pack("<II", at, 0)


def test_each_record_says_where_the_next_one_is() -> None:
    data = need(2, 48) + name(5, 16) + name(6, 0) + need(1, 0) + name(7, 0)
    assert names(data, 2) == [5, 6, 7]
    assert names(data, 1) == [5, 6]
    assert names(b"", 0) == []


def test_a_needed_version_has_its_number_and_its_library() -> None:
    data = symbol_versions.VERSION_NEED.pack(1, 1, 9, 16, 0) + name(5, 0, index=0x8003)
    assert list(symbol_versions.needed(data, 1)) == [symbol_versions.Needed(number=3, name=5, library=9)]


def test_defined_versions_are_read_with_their_numbers() -> None:
    data = definition(1, 4, 28) + definition(0x8002, 6, 0)
    assert list(symbol_versions.defined(data, 2)) == [(1, 4), (2, 6)]
    assert list(symbol_versions.defined(b"", 0)) == []


@pytest.mark.parametrize("step", [0, 15])
def test_a_defined_version_that_is_not_behind_the_last_one_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match=f"{step} bytes behind it"):
        list(symbol_versions.defined(definition(1, 4, step) + definition(2, 6, 0), 2))


def test_more_defined_versions_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(ValueError, match="4 symbol versions are counted where there is room for 1"):
        list(symbol_versions.defined(definition(1, 4, 0), 4))


@pytest.mark.parametrize("step", [0, 1, 15])
def test_a_next_record_that_is_not_behind_this_one_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match=f"{step} bytes behind it"):
        list(symbol_versions.needed(need(1, step) + name(5, 0) + bytes(32), 2))
    with pytest.raises(ValueError, match=f"{step} bytes behind it"):
        list(symbol_versions.needed(need(2, 0) + name(5, step) + bytes(32), 1))


def test_records_that_share_their_names_are_not_read_again_and_again() -> None:
    count = 1000
    data = b"".join(need(count, 16, first=16 * (count - number)) for number in range(count)) + name(1, 16) * count
    with pytest.raises(ValueError, match=r"1000 symbol versions are counted where there is room for 0"):
        list(symbol_versions.needed(data, count))


@pytest.mark.parametrize("first", [33, 1 << 31, (1 << 32) - 1])
def test_a_name_outside_the_table_is_refused(first: int) -> None:
    with pytest.raises(struct.error):
        list(symbol_versions.needed(need(1, 0, first) + name(5, 0), 1))


@pytest.mark.parametrize(
    "name", ["GLIBC_2.\u0663", "GLIBC_" + "9" * 5000, "GLIBC_1.2.3.4.5.6", "glibc_2.4", "GLIBC_2."]
)
def test_a_name_without_a_number_is_none(name: str) -> None:
    assert symbol_versions.highest([name, "GLIBC_2.4"]) == {"GLIBC": "2.4"}
