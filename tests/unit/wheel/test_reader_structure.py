"""Wheels whose directory, headers, names or RECORD lie: each is refused before any data is read."""

from __future__ import annotations

import stat
import struct
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

import fakewheels
from rawzips import INFO, Entry, build, deflate, wheel_entries
from readerwheels import CONTENT, FILE, refusal, write
from tfwheel.errors import BadWheelError
from tfwheel.wheel import reader
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path


# --- what must not ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x.py", "demo/../../x.py", "demo/./x.py", "demo//x.py", "C:/x.py", "c:x.py", "demo\\x.py",
     "demo/x\0.py", "demo/x\n.py", "//", ".",
     "demo/x;1", "demo;1/x", "demo/x\x7f", "demo/x\x85", "demo/x\u2028", "demo/x\u202egpj", "demo/x\u200b",
     "demo/\ufeffx"],
)  # fmt: skip
def test_names_that_leave_the_folder_are_refused(place: Path, name: str) -> None:
    assert "not a name inside" in refusal(write(place, Entry(name=name, data=b"x", flags=0x800)))


@pytest.mark.parametrize("name", ["demo/" + "x" * 256, "demo/" + "é" * 128, "x/" * 600 + "x"])
def test_names_that_programs_cut_are_refused(place: Path, name: str) -> None:
    assert "longer than programs take" in refusal(write(place, Entry(name=name, data=b"x", flags=0x800)))


def test_the_longest_names_that_programs_take_are_read(place: Path) -> None:
    names = ["demo/" + "x" * 255, "y/" * 511 + "yy"]
    with WheelReader(write(place, *(Entry(name=name, data=b"x") for name in names))) as wheel:
        assert [wheel.read(name) for name in names] == [b"x", b"x"]


def test_a_name_of_32_700_folders_takes_no_memory(place: Path) -> None:
    write(place, Entry(name="x/" * 32_700 + "x", data=b"x"))
    tracemalloc.start()
    try:
        assert "longer than programs take" in refusal(place)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20  # it was 1.1 GB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("demo/x", "demo/x"), "twice"),
        (("demo/x", "demo/x/"), "twice"),
        (("demo/x", "demo/x/y"), "a file and a folder"),
        (("demo/x/y/z", "demo/x"), "a file and a folder"),
        (("demo/x", "demo/x-", "demo/x/y"), "a file and a folder"),
        (("demo/x", "demo/X"), "twice, the first time as `demo/x`"),
        (("demo/x", "Demo/X/y"), "a file and a folder"),
        (("demo/stra\u00dfe", "demo/STRASSE"), "twice"),
        (("demo/\u00e9", "demo/e\u0301"), "twice"),
        (("demo/x", "demo-1.0.data/purelib/demo/x"), "twice"),
        (("demo/x", "demo-1.0.data/platlib/demo/x/y"), "a file and a folder"),
    ],
)
def test_names_that_collide_are_refused(place: Path, names: tuple[str, ...], reason: str) -> None:
    entries = [
        Entry(name=name, mode=0o40755 if name.endswith("/") else 0o100644, method=0, flags=0x800) for name in names
    ]
    assert reason in refusal(write(place, *entries))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (replace(FILE, mode=stat.S_IFLNK | 0o777), "link"),
        (replace(FILE, mode=stat.S_IFIFO | 0o644), "link or another special"),
        (replace(FILE, mode=stat.S_IFDIR | 0o755), "link or another special"),
        (replace(FILE, mode=stat.S_IFLNK | 0o777, central={"made_by": 20}), "link"),
        (replace(FILE, flags=1), "encrypted"),
        (replace(FILE, flags=1 << 6), "encrypted"),
        (replace(FILE, flags=1 << 13), "encrypted"),
        (replace(FILE, method=12), "compression method 12"),
        (replace(FILE, local={"needed": 63}, central={"needed": 63}), "newer zip version"),
        (replace(FILE, central={"comment": b"hello"}), "comment"),
        (replace(FILE, central={"disk": 1}), "another disk"),
        (replace(FILE, method=0, local={"size": 5}, central={"size": 5}), "two different sizes"),
        (Entry(name="demo/sub/", data=b"hidden", mode=0o40755), "folder with contents"),
        (Entry(name="demo/sub/", stream=deflate(b"hidden"), mode=0o40755), "folder with contents"),
        (Entry(name="demo/sub/", method=0, local={"crc": 1}, central={"crc": 1}), "folder with contents"),
        (replace(FILE, central={"external": 0o100644 << 16 | 0x10}), "a folder for DOS"),
        (replace(FILE, central={"made_by": 19 << 8 | 20}), "made by the system 19"),
        (replace(FILE, central={"made_by": 2 << 8 | 20}), "made by the system 2"),
        (Entry(name="demo/\u00e9", flags=0x800, central={"made_by": 20}), "no Unix system made it"),
        (replace(FILE, local={"size": 1 << 31}, central={"size": 1 << 31}), "more bytes than deflate can"),
        (replace(FILE, local_extra=struct.pack("<2H", 0x756E, 14) + bytes(14)), "a link (kind 0x756e)"),
        (replace(FILE, central_extra=struct.pack("<2H", 0x756E, 14) + bytes(14)), "a link (kind 0x756e)"),
        (replace(FILE, central_extra=struct.pack("<2H", 0x000D, 12) + bytes(12)), "kind 0x000d"),
        (replace(FILE, central={"offset": 0xFFFFFFFF}, central_extra=struct.pack("<2HQ", 1, 8, 1 << 40)), "after its"),
        (replace(FILE, central={"offset": 0xFFFFFFFF}, central_extra=struct.pack("<2HQ", 1, 8, 1 << 63)), "after its"),
        (replace(FILE, local={"name": b"demo/other.txt"}), "contradicts"),
        (replace(FILE, local={"method": 0}), "contradicts"),
        (replace(FILE, local={"flags": 2}), "contradicts"),
        (replace(FILE, local={"crc": 1}), "contradicts"),
        (replace(FILE, local={"size": 1}), "contradicts"),
        (replace(FILE, local={"compressed": 1}), "contradicts"),
        (replace(FILE, local={"date": 0x5022}), "contradicts"),
        (replace(FILE, local={"crc": 0, "compressed": 0, "size": 0}), "contradicts"),
        (replace(FILE, local={"compressed": 5}, central={"compressed": 5}), "no member owns"),
        (replace(FILE, central={"compressed": 5000}), "overlaps"),
        (replace(FILE, after=b"hidden"), "no member owns"),
        (replace(FILE, after=bytes(100)), "no member owns"),
        (replace(FILE, flags=8), "lacks its data descriptor"),
        (replace(FILE, flags=8, descriptor=bytes(12)), "data descriptor"),
        (replace(FILE, flags=8, descriptor=bytes(7)), "data descriptor"),
        (replace(FILE, local={"name": b"\xff"}, central={"name": b"\xff"}), "encoding"),
        (replace(FILE, flags=0x800, local={"name": b"\xff"}, central={"name": b"\xff"}), "encoding"),
        (replace(FILE, central_extra=b"\1"), "extra data"),
        (replace(FILE, central_extra=struct.pack("<2H", 0xCAFE, 9)), "extra data"),
        (replace(FILE, central_extra=struct.pack("<2H", 0x1234, 0)), "unknown extra data"),
        (replace(FILE, central_extra=struct.pack("<2H", 0x7075, 0)), "second name"),
        (replace(FILE, local_extra=struct.pack("<2H", 0x7075, 0)), "second name"),
        (replace(FILE, central_extra=struct.pack("<2HQ", 1, 8, 5)), "ZIP64"),
        (replace(FILE, central={"size": 0xFFFFFFFF}, central_extra=struct.pack("<2HQ", 1, 8, 5) * 2), "extra data"),
        (replace(FILE, central={"offset": 0}), "not a local header|overlaps|contradicts"),
        (replace(FILE, central={"offset": 3}), "not a local header|overlaps|contradicts"),
    ],
)  # fmt: skip
def test_members_that_lie_are_refused(place: Path, entry: Entry, reason: str) -> None:
    found = refusal(write(place, entry))
    assert any(one in found for one in reason.split("|")), found


@pytest.mark.parametrize(
    ("name", "value"), [("MOST_MEMBERS", 4), ("LARGEST_DIRECTORY", 300), ("LARGEST_WHEEL", len(CONTENT))]
)
def test_more_than_fits_into_memory_or_onto_a_disk_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    write(place, FILE)
    monkeypatch.setattr(reader, name, value)
    assert "it has 5 members" in (found := refusal(place)) or "unpacked it would have" in found


def test_extra_data_of_times_and_owners_is_read(place: Path) -> None:
    times = struct.pack("<2HBL", 0x5455, 5, 1, 0) + struct.pack("<2HBBLBL", 0x7875, 11, 1, 4, 0, 4, 0)
    with WheelReader(write(place, replace(FILE, local_extra=times, central_extra=times))) as wheel:
        assert wheel.read(FILE.name) == CONTENT


def test_a_disk_that_cannot_be_read_is_our_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> NoReturn:
        raise OSError(5, "Input/output error")

    with WheelReader(write(place, FILE)) as wheel:
        monkeypatch.setattr("os.pread", broken)
        with pytest.raises(BadWheelError, match="Input/output error"):
            wheel.read(FILE.name)


def test_two_members_sharing_data_are_refused(place: Path) -> None:
    inner = build([Entry(name="demo/b", data=b"x", method=0)])[:37]
    entries = wheel_entries(Entry(name="demo/a", data=inner, method=0))
    data = build(entries)
    hidden = Entry(name="demo/b", data=b"x", method=0, central={"offset": data.index(b"demo/b") - 30})
    place.write_bytes(build([*entries, hidden]))
    assert "overlaps" in refusal(place)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"prefix": b"#!/bin/sh\n"}, "before its first member"),
        ({"suffix": b"trailing"}, "followed by other bytes"),
        ({"suffix": b"hello", "comment": 5}, "comment"),
        ({"comment": 3}, "comment"),
        ({"disk": 1}, "disks"),
        ({"start_disk": 1}, "disks"),
        ({"disk_count": 1}, "disks"),
        ({"disk_count": 3, "count": 3}, "entries where the end record says 3"),
        ({"length": 10}, "does not end where"),
        ({"offset": 10}, "does not end where"),
    ],
)
def test_a_wrong_frame_is_refused(place: Path, options: dict[str, int], reason: str) -> None:
    place.write_bytes(build(wheel_entries(FILE), **options))
    assert reason in refusal(place)


def test_a_wheel_cut_anywhere_is_refused(place: Path) -> None:
    data = build(wheel_entries(FILE))
    for length in range(0, len(data), 31):
        place.write_bytes(data[:length])
        refusal(place)


def test_flipping_any_bit_of_the_structure_is_refused_or_harmless(place: Path) -> None:
    data = build(wheel_entries(FILE))
    start = data.index(b"PK\1\2")
    for position in range(start, len(data), 5):
        place.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        try:
            with WheelReader(place) as wheel:
                assert wheel.read(FILE.name) == CONTENT
        except BadWheelError:
            pass


def test_a_file_that_is_not_there_is_an_error_of_ours(place: Path) -> None:
    assert "cannot be read" in refusal(place)


def zip64_tail(data: bytes, **changes: int) -> bytes:
    """The same zip with a ZIP64 end record and locator before the plain end record; single fields may lie."""
    at = len(data) - 22
    _, _, _, _, count, length, offset, _ = struct.unpack("<4s4H2LH", data[at:])
    values = {"size": 44, "disk": 0, "start": 0, "here": count, "count": count, "length": length, "offset": offset}
    values |= {"locator_disk": 0, "locator": at, "disks": 1, "plain": 0xFFFF} | changes
    numbers = [values[key] for key in ("disk", "start", "here", "count", "length", "offset")]
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", values["size"], 45, 45, *numbers)
    locator = struct.pack("<4sLQL", b"PK\6\7", values["locator_disk"], values["locator"], values["disks"])
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, values["plain"], values["plain"], 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:at] + record + locator + end


def test_zip64_end_records_are_read(place: Path) -> None:
    data = build(wheel_entries(FILE))
    for plain in (0xFFFF, len(wheel_entries(FILE))):
        place.write_bytes(zip64_tail(data, plain=plain))
        with WheelReader(place) as wheel:
            assert wheel.read(FILE.name) == CONTENT


@pytest.mark.parametrize(
    "lie",
    [{"size": 45}, {"disk": 1}, {"start": 1}, {"here": 1}, {"count": 9}, {"length": 1}, {"offset": 1},
     {"locator_disk": 1}, {"locator": 0}, {"disks": 2}, {"plain": 3}],
)  # fmt: skip
def test_zip64_end_records_that_lie_are_refused(place: Path, lie: dict[str, int]) -> None:
    place.write_bytes(zip64_tail(build(wheel_entries(FILE)), **lie))
    refusal(place)


def test_a_zip64_locator_without_its_record_is_refused(place: Path) -> None:
    data = build(wheel_entries(FILE))
    place.write_bytes(data[:-22] + struct.pack("<4sLQL", b"PK\6\7", 0, len(data) - 22, 1) + data[-22:])
    assert "ZIP64" in refusal(place)


# --- RECORD ----------------------------------------------------------------------------------------------


def record_with(old: str, new: str) -> bytes:
    """The RECORD of the small wheel with one text replaced by another."""
    text = wheel_entries(FILE)[-1].data.decode()
    assert old in text
    return text.replace(old, new).encode()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("demo/data.txt", "demo/other.txt", "in one only (2 such)"),
        ("demo/data.txt", "demo/__init__.py", "twice"),
        (f",{len(CONTENT)}", ",7", "7 bytes where it has 1000"),
        (f",{len(CONTENT)}", ",-1", "no sound"),
        (f",{len(CONTENT)}", "", "2 fields"),
        ("sha256=", "md5=", "no sound"),
        ("sha256=", "sha512=", "no sound"),
        ("sha256=", "", "no sound"),
        ("sha256=", "sha256=!", "no sound"),
        (f"{INFO}/RECORD,,\n", "", "does not list"),
        (f"{INFO}/RECORD,,\n", f"{INFO}/RECORD,,\n{INFO}/RECORD.jws,,\n", "no sound"),
        ("demo/data.txt,", "demo/data.txt\x85,", "a control character or the like in line 2"),
        ("demo/data.txt,", 'demo/data.txt",', "in one only|not a row|twice|expected"),
    ],
)
def test_a_record_that_lies_about_what_is_there_is_refused(place: Path, old: str, new: str, reason: str) -> None:
    place.write_bytes(build(wheel_entries(FILE, record=record_with(old, new))))
    found = refusal(place)
    assert any(one in found for one in reason.split("|")), found


def test_a_record_with_a_wrong_hash_is_found_when_the_member_is_read(place: Path, tmp_path: Path) -> None:
    other = fakewheels.record_of({FILE.name: bytes(len(CONTENT))}, INFO).decode().split(",")[1]
    right = fakewheels.record_of({FILE.name: CONTENT}, INFO).decode().split(",")[1]
    place.write_bytes(build(wheel_entries(FILE, record=record_with(right, other))))
    with WheelReader(place) as wheel:
        with pytest.raises(BadWheelError, match=r"RECORD lies about `demo/data\.txt`"):
            wheel.verify(FILE.name)
        with pytest.raises(BadWheelError, match="RECORD lies"):
            wheel.extract(FILE.name, tmp_path / "out" / "data.txt")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_record_without_sizes_is_read(place: Path) -> None:
    place.write_bytes(build(wheel_entries(FILE, record=record_with(f",{len(CONTENT)}", ","))))
    with WheelReader(place) as wheel:
        assert wheel.read(FILE.name) == CONTENT


def test_signatures_of_record_need_no_row(place: Path) -> None:
    entries = wheel_entries(FILE)
    place.write_bytes(build([*entries, Entry(name=f"{INFO}/RECORD.jws", data=b"{}")]))
    with WheelReader(place) as wheel:
        assert f"{INFO}/RECORD.jws" not in wheel.record


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "0 .dist-info folders"),
        ([FILE], "0 .dist-info folders"),
        ([Entry(name=f"{INFO}/METADATA")], "no `demo-1.0.dist-info/RECORD`"),
        ([*wheel_entries(), Entry(name="other-1.dist-info/METADATA")], "2 .dist-info folders"),
        ([*wheel_entries(), Entry(name="other-1.dist-info")], "2 .dist-info folders"),
    ],
)
def test_a_zip_that_is_not_a_wheel_is_refused(place: Path, entries: list[Entry], reason: str) -> None:
    place.write_bytes(build(entries))
    assert reason in refusal(place)
