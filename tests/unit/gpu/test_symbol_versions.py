"""Tables of needed symbol versions, record by record; test_elf.py reads them from files."""

from __future__ import annotations

import struct

import pytest

from tfwheel.gpu import symbol_versions


def need(names: int, following: int, first: int = 16) -> bytes:
    return symbol_versions.VERSION_NEED.pack(1, names, 0, first, following)


def name(at: int, following: int) -> bytes:
    return symbol_versions.VERSION_NAME.pack(0, 0, 0, at, following)


def test_each_record_says_where_the_next_one_is() -> None:
    data = need(2, 48) + name(5, 16) + name(6, 0) + need(1, 0) + name(7, 0)
    assert list(symbol_versions.needed(data, 2)) == [5, 6, 7]
    assert list(symbol_versions.needed(data, 1)) == [5, 6]
    assert list(symbol_versions.needed(b"", 0)) == []


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
