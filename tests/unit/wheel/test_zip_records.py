"""ZIP records written and read back, at and beyond the sizes where ZIP64 begins."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfwheel.errors import BadWheelError
from tfwheel.wheel import zip_records
from tfwheel.wheel.zip_records import Directory, Member

SIZES = st.sampled_from([0, 1, 0xFFFFFFFE, 0xFFFFFFFF, 0x100000000, 1 << 40])


def a_member(**facts: int | str | bytes) -> Member:
    """A member with some fields of interest."""
    plain = {"name": "a/b.py", "size": 3, "compressed_size": 2, "crc": 7, "method": 8, "offset": 0}
    plain |= {"flags": 0, "time": 1, "date": 0x21, "external": zip_records.file_attributes(0o644)}
    return Member(**(plain | facts))  # type: ignore[arg-type]


@given(SIZES, SIZES, SIZES)
def test_a_central_entry_is_read_as_it_was_written(size: int, compressed: int, offset: int) -> None:
    member = a_member(size=size, compressed_size=compressed, offset=offset, extra=b"\xfe\xca\1\0x")
    (found,) = zip_records.parse_central(zip_records.pack_central(member), 1)
    large = max(size, compressed, offset) >= 0xFFFFFFFF
    assert found == a_member(
        size=size, compressed_size=compressed, offset=offset, extra=b"\xfe\xca\1\0x", needed=45 if large else 20
    )


@given(SIZES, SIZES)
def test_a_local_header_agrees_with_its_member(size: int, compressed: int) -> None:
    member = a_member(size=size, compressed_size=compressed)
    header = zip_records.pack_local(member)
    assert zip_records.local_length(header) == len(header)
    zip_records.check_local(header, member)


@given(st.sampled_from([0, 0xFFFE, 0xFFFF, 70_000]), SIZES, st.sampled_from([0, 46, 0xFFFFFFFF]))
def test_an_end_record_is_found_as_it_was_written(count: int, offset: int, length: int) -> None:
    directory = Directory(offset=offset, end=offset + length, count=count)
    tail = zip_records.pack_end(directory)
    assert zip_records.parse_end(tail, directory.end + len(tail)) == directory
    assert len(tail) == (22 if count < 0xFFFF and max(offset, length) < 0xFFFFFFFF else zip_records.LONGEST_END)


def test_65535_members_are_counted_right() -> None:
    tail = zip_records.pack_end(Directory(offset=0, end=1, count=0xFFFF))
    assert tail.startswith(zip_records.ZIP64_END_SIGNATURE)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (315_532_800, (0, 0x21)),
        (4_354_819_199, (23 << 11 | 59 << 5 | 29, 127 << 9 | 12 << 5 | 31)),
        (1_577_836_800, (0, 40 << 9 | 1 << 5 | 1)),
        (1_577_836_859, (29, 40 << 9 | 1 << 5 | 1)),
        (1_577_923_199, (23 << 11 | 59 << 5 | 29, 40 << 9 | 1 << 5 | 1)),
    ],
)
def test_dos_time_is_in_utc(epoch: int, expected: tuple[int, int]) -> None:
    assert zip_records.dos_time(epoch) == expected


@pytest.mark.parametrize("epoch", [0, 315_532_799, 4_354_819_200, 10**12, -1])
def test_a_date_that_no_zip_can_hold_is_refused(epoch: int) -> None:
    with pytest.raises(BadWheelError, match="the years 1980 to 2107"):
        zip_records.dos_time(epoch)


def test_permissions_come_without_special_bits() -> None:
    assert a_member(external=(stat.S_IFREG | 0o6755) << 16).permissions == 0o755
    assert a_member(external=0).permissions == 0o644


def test_a_damaged_directory_is_refused() -> None:
    data = zip_records.pack_central(a_member())
    for length in range(1, len(data)):
        with pytest.raises(ValueError, match=r"damaged|differ|entries"):
            zip_records.parse_central(data[:length], 1)


def test_zip64_values_must_be_there() -> None:
    data = zip_records.pack_central(a_member(size=1 << 40))
    with pytest.raises(ValueError, match="ZIP64"):
        zip_records.parse_central(data.replace(b"\1\0\x08\0", b"\1\0\x04\0"), 1)


def test_a_descriptor_with_long_sizes_has_no_short_form() -> None:
    assert {len(form) for form in zip_records.descriptors(a_member())} == {12, 16, 20, 24}
    assert {len(form) for form in zip_records.descriptors(a_member(size=1 << 40))} == {20, 24}
