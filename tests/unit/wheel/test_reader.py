"""Wheels that are read, and members whose data lies: what comes out is what RECORD says, or an error."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakewheels
import hunting
from rawzips import INFO, Entry, build, deflate, wheel_entries
from readerwheels import CONTENT, FILE, write
from tfwheel.errors import BadWheelError
from tfwheel.system.errors import DiskFullError
from tfwheel.wheel import reader
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path


# --- what must be read -----------------------------------------------------------------------------------


def test_a_good_wheel_is_read_in_file_order(place: Path) -> None:
    with WheelReader(write(place, FILE)) as wheel:
        assert wheel.names()[:2] == ("demo/__init__.py", "demo/data.txt")
        assert wheel.dist_info == INFO
        assert wheel.read("demo/data.txt") == CONTENT
        member = wheel.member("demo/data.txt")
        assert (member.size, member.crc, member.method) == (len(CONTENT), zlib.crc32(CONTENT), zlib.DEFLATED)
        assert wheel.extent("demo/data.txt").start == member.offset
        assert wheel.record.keys() == set(wheel.names()) - {f"{INFO}/RECORD"}


def test_members_are_given_in_the_order_of_the_file_not_of_the_directory(place: Path) -> None:
    entries = wheel_entries(FILE)
    data = build(entries)
    start = data.index(b"PK\1\2")
    first = 46 + len(entries[0].name)
    end = data.index(b"PK\5\6")
    place.write_bytes(data[:start] + data[start + first : end] + data[start : start + first] + data[end:])
    with WheelReader(place) as wheel:
        assert wheel.names() == tuple(entry.name for entry in entries)


def test_a_wheel_written_by_zipfile_is_read(place: Path) -> None:
    fakewheels.write_wheel(
        place.parent,
        {"demo/ümläut.py": b"x = 1\n", "demo/empty.py": b""},
        name="demo",
        version="1.0",
        tag="py3-none-any",
    )
    with WheelReader(place) as wheel:
        assert wheel.read("demo/ümläut.py") == b"x = 1\n"
        assert wheel.read("demo/empty.py") == b""


def test_a_wheel_streamed_with_data_descriptors_is_read(place: Path) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in wheel_entries(FILE):
            archive.writestr(entry.name, entry.data)
    place.write_bytes(pipe.data)
    with WheelReader(place) as wheel:
        assert wheel.member("demo/data.txt").flags & 8
        assert wheel.read("demo/data.txt") == CONTENT


@pytest.mark.parametrize("signature", [b"", b"PK\7\x08"])
@pytest.mark.parametrize("form", ["<3L", "<L2Q"])
@pytest.mark.parametrize("zeroed", [True, False])
def test_every_form_of_data_descriptor_is_read(place: Path, signature: bytes, form: str, *, zeroed: bool) -> None:
    descriptor = signature + struct.pack(form, zlib.crc32(CONTENT), len(deflate(CONTENT)), len(CONTENT))
    local = {"crc": 0, "compressed": 0, "size": 0} if zeroed else {}
    write(place, replace(FILE, flags=8, descriptor=descriptor, local=local))
    with WheelReader(place) as wheel:
        assert wheel.read(FILE.name) == CONTENT


def test_zip64_sizes_are_read_from_both_headers(place: Path) -> None:
    ones = {"compressed": 0xFFFFFFFF, "size": 0xFFFFFFFF}
    extra = struct.pack("<2H2Q", 1, 16, len(CONTENT), len(deflate(CONTENT)))
    write(place, replace(FILE, local=ones, central=ones, local_extra=extra, central_extra=extra))
    with WheelReader(place) as wheel:
        assert wheel.read(FILE.name) == CONTENT


def test_a_long_local_header_is_read_whole(place: Path) -> None:
    write(place, replace(FILE, local_extra=struct.pack("<2H", 0xCAFE, 1000) + bytes(1000)))
    with WheelReader(place) as wheel:
        assert wheel.read(FILE.name) == CONTENT


def test_a_stored_member_and_a_folder_are_read(place: Path) -> None:
    folder = Entry(name="demo/sub/", method=0, mode=0o40755)
    with WheelReader(write(place, folder, replace(FILE, method=0))) as wheel:
        assert wheel.read(FILE.name) == CONTENT
        assert wheel.member("demo/sub/").is_directory


def test_extract_writes_bytes_and_permissions(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "data.txt"
    with WheelReader(write(place, replace(FILE, mode=0o104755))) as wheel:
        wheel.extract(FILE.name, out)
    assert out.read_bytes() == CONTENT
    assert stat.S_IMODE(out.stat().st_mode) == 0o755
    assert [path.name for path in out.parent.iterdir()] == ["data.txt"]


@given(st.binary(max_size=2000), st.booleans())
def test_what_went_in_comes_out(tmp_path_factory: pytest.TempPathFactory, data: bytes, stored: bool) -> None:  # noqa: FBT001
    path = tmp_path_factory.mktemp("wheel") / "demo-1.0-py3-none-any.whl"
    with WheelReader(write(path, Entry(name="demo/x", data=data, method=0 if stored else 8))) as wheel:
        assert wheel.read("demo/x") == data


# --- data ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (deflate(CONTENT)[:-1], "no end"),
        (deflate(CONTENT) + b"more", "after the end"),
        (deflate(CONTENT + b"x"), "another size or crc"),
        (deflate(CONTENT[:-1]), "another size or crc"),
        (deflate(CONTENT[::-1]), "another size or crc"),
        (b"\xff\xff\xff", "invalid"),
        (b"\x03", "no end"),
    ],
)
def test_damaged_data_is_refused_when_read(place: Path, stream: bytes, reason: str) -> None:
    with WheelReader(write(place, replace(FILE, stream=stream))) as wheel, pytest.raises(BadWheelError, match=reason):
        wheel.read(FILE.name)


def test_data_after_the_end_is_found_across_pieces(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = deflate(CONTENT)
    monkeypatch.setattr(reader, "CHUNK", len(packed))
    entry = replace(FILE, stream=packed + b"more")
    with WheelReader(write(place, entry)) as wheel, pytest.raises(BadWheelError, match="after the end"):
        wheel.read(FILE.name)


def test_a_zip_bomb_stays_as_small_as_it_says(place: Path) -> None:
    bomb = replace(FILE, stream=deflate(bytes(20 << 20)))
    with WheelReader(write(place, bomb)) as wheel:
        pieces: list[bytes] = []
        with pytest.raises(BadWheelError, match="another size"):
            pieces.extend(wheel.chunks(FILE.name))
        assert sum(map(len, pieces)) <= len(CONTENT)


def test_pieces_are_bounded(place: Path) -> None:
    large = Entry(name="demo/large", data=bytes(1 << 20))
    with WheelReader(write(place, large)) as wheel:
        assert max(map(len, wheel.chunks("demo/large"))) <= reader.CHUNK


def test_read_refuses_what_does_not_belong_in_memory(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with WheelReader(write(place, FILE)) as wheel:
        monkeypatch.setattr(reader, "READ_LIMIT", len(CONTENT) - 1)
        with pytest.raises(BadWheelError, match="too large"):
            wheel.read(FILE.name)


def test_a_file_cut_while_it_is_read_is_refused(place: Path) -> None:
    with WheelReader(write(place, FILE)) as wheel:
        place.write_bytes(place.read_bytes()[:60])
        with pytest.raises(BadWheelError, match="cut short after"):
            wheel.read(FILE.name)


@pytest.mark.parametrize("method", ["member", "extent", "read", "verify"])
def test_asking_for_a_member_that_is_not_there_is_an_error_of_ours(place: Path, method: str) -> None:
    with WheelReader(write(place)) as wheel, pytest.raises(BadWheelError, match="no member `demo/nothing`"):
        getattr(wheel, method)("demo/nothing")


def test_a_full_disk_while_extracting_leaves_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    with WheelReader(write(place, FILE)) as wheel:
        monkeypatch.setattr("os.fchmod", full)
        with pytest.raises(DiskFullError):
            wheel.extract(FILE.name, tmp_path / "out" / "x")
    assert list((tmp_path / "out").iterdir()) == []


def test_flipping_any_bit_of_the_data_is_refused_or_harmless(place: Path) -> None:
    packed = deflate(CONTENT)
    refused = 0
    for bit in range(8 * len(packed)):
        flipped = (int.from_bytes(packed, "little") ^ 1 << bit).to_bytes(len(packed), "little")
        with WheelReader(write(place, replace(FILE, stream=flipped))) as wheel:
            try:
                assert wheel.read(FILE.name) == CONTENT
            except BadWheelError:
                refused += 1
    assert refused > 8 * len(packed) - 8  # the last byte may have bits that mean nothing


def test_threads_may_share_a_reader(place: Path) -> None:
    members = {f"demo/{number}": (f"{number} ".encode() * 200_000) for number in range(8)}
    with (
        WheelReader(write(place, *(Entry(name=name, data=data) for name, data in members.items()))) as wheel,
        ThreadPoolExecutor(max_workers=4) as pool,
    ):
        assert dict(zip(members, pool.map(wheel.read, members), strict=True)) == members


def test_hostile_wheels_are_read_as_others_read_them_or_refused(tmp_path: Path) -> None:
    found = hunting.hunt("wheel", tmp_path, seed=1, count=500)
    assert found["read"] > 40
    assert found["refused"] > 300
