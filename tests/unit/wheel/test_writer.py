"""Making a wheel from another: what stays keeps its bytes, what changes is said in RECORD, failures leave nothing."""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawzips import INFO, Entry, build, wheel_entries
from tfwheel.errors import BadWheelError
from tfwheel.system.errors import DiskFullError
from tfwheel.wheel import writer as merging
from tfwheel.wheel import zip_records
from tfwheel.wheel.deflate import Deflated, deflate
from tfwheel.wheel.reader import WheelReader
from tfwheel.wheel.writer import Changes, MergeResult, NewFile, merge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEW_INFO = "demo-1.0+x.1.dist-info"
EPOCH = 1_577_836_800
TOOL = Entry(name="demo/tool.sh", data=b"#!/bin/sh\n" * 30, mode=0o100755)
DATA = Entry(name="demo/z.txt", data=b"z" * 100, method=0)


def a_base(folder: Path, *extra: Entry) -> Path:
    """A small wheel to start from."""
    path = folder / "base.whl"
    path.write_bytes(build(wheel_entries(*(extra or (TOOL, DATA)))))
    return path


def merged(base: Path, out: Path, **changes: object) -> MergeResult:
    """Merge with these changes."""
    with WheelReader(base) as reader:
        return merge(reader, out, changes=Changes(**({"dist_info": NEW_INFO, "epoch": EPOCH} | changes)))  # type: ignore[arg-type]


def contents(path: Path) -> dict[str, bytes]:
    """Every member but RECORD, read by Python's own zipfile, which also checks every crc."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_members_are_kept_replaced_added_and_removed(tmp_path: Path) -> None:
    base, out = a_base(tmp_path), tmp_path / "out.whl"
    merged(
        base,
        out,
        add={"other/b.py": NewFile(content=[b"b"]), "other/a.py": NewFile(content=[b"a", b"a"])},
        replace={"demo/tool.sh": [b"new"], f"{NEW_INFO}/METADATA": [b"Name: demo\n"]},
        remove=frozenset({"demo/z.txt"}),
    )
    assert contents(out) == {
        "demo/__init__.py": b"VALUE = 1\n",
        "demo/tool.sh": b"new",
        "other/a.py": b"aa",
        "other/b.py": b"b",
        f"{NEW_INFO}/METADATA": b"Name: demo\n",
        f"{NEW_INFO}/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    with WheelReader(out) as wheel:
        assert wheel.names() == (*contents(out), f"{NEW_INFO}/RECORD")
        for name in wheel.names():
            wheel.verify(name)


def test_record_ends_with_its_own_row_without_a_hash(tmp_path: Path) -> None:
    merged(a_base(tmp_path), tmp_path / "out.whl")
    with WheelReader(tmp_path / "out.whl") as wheel:
        assert wheel.read(f"{NEW_INFO}/RECORD").decode().splitlines()[-1] == f"{NEW_INFO}/RECORD,,"


def test_sha256_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    out = tmp_path / "out.whl"
    result = merged(a_base(tmp_path), out)
    assert result.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert result.size == out.stat().st_size
    assert result.kept == 3


def test_kept_members_are_the_same_bytes_with_their_headers(tmp_path: Path) -> None:
    base, out = a_base(tmp_path), tmp_path / "out.whl"
    merged(base, out)
    with WheelReader(base) as old, WheelReader(out) as new:
        for name in ("demo/__init__.py", "demo/tool.sh", "demo/z.txt"):
            there, here = old.extent(name), new.extent(name)
            assert b"".join(new.raw(here.start, here.end)) == b"".join(old.raw(there.start, there.end))
        assert new.member("demo/tool.sh").unix_mode == 0o100755


def test_permissions_are_those_of_what_is_replaced_or_those_given(tmp_path: Path) -> None:
    out = tmp_path / "out.whl"
    merged(a_base(tmp_path), out, replace={"demo/tool.sh": [b"x"]}, add={"o.so": NewFile(content=[b"x"], mode=0o755)})
    with WheelReader(out) as wheel:
        assert [wheel.member(name).unix_mode for name in ("demo/tool.sh", "o.so")] == [0o100755, 0o100755]


def test_a_renamed_member_loses_its_descriptor_and_extra_data_not_its_contents(tmp_path: Path) -> None:
    packed = Entry(name="x", data=b"entry" * 9)
    numbers = struct.pack("<3L", packed.fields()["crc"], len(packed.compressed), 45)
    extra = b"UT\5\0\1abcd"
    entry = Entry(
        name=f"{INFO}/entry_points.txt", data=packed.data, flags=8, descriptor=numbers, central_extra=extra,
        local_extra=extra, local={"crc": 0, "compressed": 0, "size": 0},
    )  # fmt: skip
    out = tmp_path / "out.whl"
    merged(a_base(tmp_path, entry), out)
    with WheelReader(out) as wheel:
        member = wheel.member(f"{NEW_INFO}/entry_points.txt")
        assert (member.flags, member.extra) == (0, b"")
        assert wheel.read(member.name) == packed.data


def test_names_outside_ascii_survive(tmp_path: Path) -> None:
    out = tmp_path / "out.whl"
    merged(
        a_base(tmp_path, Entry(name="demo/ä.py", data=b"1", flags=0x800)), out, add={"ö.py": NewFile(content=[b"2"])}
    )
    assert contents(out)["demo/ä.py"] == b"1"
    assert contents(out)["ö.py"] == b"2"


def test_folders_are_kept_and_need_no_row(tmp_path: Path) -> None:
    folders = [Entry(name=name, method=0, mode=0o40755) for name in ("demo/sub/", f"{INFO}/")]
    out = tmp_path / "out.whl"
    merged(a_base(tmp_path, *folders), out)
    with WheelReader(out) as wheel:
        assert {"demo/sub/", f"{NEW_INFO}/"} <= set(wheel.names())


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    base = a_base(tmp_path)
    added = {"b.py": b"b" * 5000, "a.py": b"a"}
    outs: list[bytes] = []
    for order in (list(added), sorted(added)):
        out = tmp_path / f"{len(outs)}.whl"
        merged(base, out, add={name: NewFile(content=[added[name]]) for name in order})
        os.utime(base, (len(outs), len(outs)))
        outs.append(out.read_bytes())
    assert outs[0] == outs[1]


def test_only_the_given_date_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out.whl"
    merged(a_base(tmp_path), out, add={"a.py": NewFile(content=[b"a"])}, epoch=EPOCH + 2)
    with zipfile.ZipFile(out) as archive:
        assert archive.getinfo("a.py").date_time == (2020, 1, 1, 0, 0, 2)


def test_large_files_go_through_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "SPOOL", 10)
    data = os.urandom(100_000)
    merged(a_base(tmp_path), tmp_path / "out.whl", add={"a.bin": NewFile(content=[data])})
    assert contents(tmp_path / "out.whl")["a.bin"] == data


def test_content_is_read_only_when_its_turn_comes(tmp_path: Path) -> None:
    seen: list[str] = []

    def content(name: str) -> Iterator[bytes]:
        seen.append(name)
        yield b"x"

    merged(
        a_base(tmp_path), tmp_path / "out.whl", add={name: NewFile(content=content(name)) for name in ("b.py", "a.py")}
    )
    assert seen == ["a.py", "b.py"]


files = st.dictionaries(st.from_regex(r"[a-zé]{1,8}\.py", fullmatch=True), st.binary(max_size=300), max_size=6)


@settings(max_examples=25)
@given(files, files)
def test_any_files_come_out_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, old: dict[str, bytes], new: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    entries = [
        Entry(name=f"demo/{name}", data=data, flags=0 if name.isascii() else 0x800) for name, data in old.items()
    ]
    base = a_base(folder, *entries, TOOL)
    both = {f"demo/{name}": [new[name]] for name in old.keys() & new.keys()}
    added = {f"demo/{name}": NewFile(content=[data]) for name, data in new.items() if name not in old}
    merged(base, folder / "out.whl", replace=both, add=added)
    found = {name.removeprefix("demo/"): data for name, data in contents(folder / "out.whl").items()}
    assert {name: found[name] for name in old | new} == old | new


# --- ZIP64 -----------------------------------------------------------------------------------------------


def test_zip64_records_are_written_above_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, out = a_base(tmp_path), tmp_path / "out.whl"
    plain = tmp_path / "plain.whl"
    merged(base, plain, replace={"demo/tool.sh": [b"y" * 500]})
    monkeypatch.setattr(zip_records, "LARGEST_32", 200)
    monkeypatch.setattr(zip_records, "LARGEST_16", 3)
    merged(base, out, replace={"demo/tool.sh": [b"y" * 500]})
    data = out.read_bytes()
    assert zip_records.ZIP64_END_SIGNATURE in data
    assert zip_records.ZIP64_END_SIGNATURE not in plain.read_bytes()
    assert contents(out) == contents(plain)
    with zipfile.ZipFile(out) as archive:
        assert archive.getinfo("demo/tool.sh").extract_version == 45


# --- what must not be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"add": {"demo/tool.sh": NewFile(content=[b""])}}, "`demo/tool.sh` was to be added, but it is in the base"),
        ({"add": {f"{NEW_INFO}/RECORD": NewFile(content=[b""])}}, "added"),
        ({"replace": {"demo/none.py": [b""]}}, "`demo/none.py` was to be replaced"),
        ({"replace": {f"{INFO}/METADATA": [b""]}}, "replaced"),
        ({"replace": {f"{NEW_INFO}/RECORD": [b""]}}, "always rewritten"),
        ({"remove": frozenset({"demo/none.py"})}, "`demo/none.py` was to be removed"),
        ({"remove": frozenset({f"{INFO}/RECORD"})}, "always rewritten"),
        ({"replace": {"demo/tool.sh": [b""]}, "remove": frozenset({"demo/tool.sh"})}, "replaced"),
        ({"add": {"../x.py": NewFile(content=[b""])}}, "not a name inside"),
        ({"add": {"demo/tool.sh/x.py": NewFile(content=[b""])}}, "a file and a folder"),
    ],
)
def test_changes_that_make_no_wheel_are_refused(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    base = a_base(tmp_path)
    with pytest.raises(BadWheelError, match=reason):
        merged(base, tmp_path / "out.whl", **changes)
    assert list(tmp_path.iterdir()) == [base]


@pytest.mark.parametrize("changes", [{"replace": {TOOL.name: [b"x"]}}, {"remove": frozenset({TOOL.name})}])
def test_a_record_that_lies_about_what_is_changed_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    entries = wheel_entries(TOOL)
    lines = entries[-1].data.decode().splitlines(keepends=True)
    other = lines[0].split(",")[1]
    lie = "".join(f"{TOOL.name},{other},{len(TOOL.data)}\n" if TOOL.name in line else line for line in lines)
    base = tmp_path / "base.whl"
    base.write_bytes(build(wheel_entries(TOOL, record=lie.encode())))
    with pytest.raises(BadWheelError, match=f"RECORD lies about `{TOOL.name}`"):
        merged(base, tmp_path / "out.whl", **changes)
    assert list(tmp_path.iterdir()) == [base]


def test_a_failure_in_the_middle_leaves_the_old_wheel_and_nothing_else(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        message = "gone"
        raise RuntimeError(message)

    base, out = a_base(tmp_path), tmp_path / "out.whl"
    out.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        merged(base, out, add={"a.py": NewFile(content=broken())})
    assert out.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [base, out]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    base = a_base(tmp_path)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError):
        merged(base, tmp_path / "out.whl")
    assert list(tmp_path.iterdir()) == [base]


def test_what_the_disk_garbled_is_found_before_the_wheel_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = merging._Writer._write

    def garbling(writer: merging._Writer, data: bytes) -> None:
        honest(writer, data.replace(b"GOOD", b"EVIL"))

    base = a_base(tmp_path)
    monkeypatch.setattr(merging._Writer, "_write", garbling)
    monkeypatch.setattr(merging, "LEVEL", 0)
    with pytest.raises(BadWheelError, match="another size or crc"):
        merged(base, tmp_path / "out.whl", add={"a.py": NewFile(content=[b"GOOD"])})
    assert list(tmp_path.iterdir()) == [base]


def test_a_kept_member_that_changed_on_the_way_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = a_base(tmp_path)
    facts = iter(range(1000))
    monkeypatch.setattr(merging, "_facts", lambda _: (next(facts),))
    with pytest.raises(BadWheelError, match="did not survive"):
        merged(base, tmp_path / "out.whl")
    assert list(tmp_path.iterdir()) == [base]


def a_stream(folder: Path, data: bytes) -> Deflated:
    """These bytes, deflated beforehand."""
    (folder / "data").write_bytes(data)
    return deflate(folder / "data", folder / "data.deflate")


def test_what_is_deflated_already_is_placed_as_it_is(tmp_path: Path) -> None:
    base, out, stream = a_base(tmp_path), tmp_path / "out.whl", a_stream(tmp_path, b"other code\n" * 500)
    merged(base, out, replace={"demo/tool.sh": stream})
    assert contents(out)["demo/tool.sh"] == b"other code\n" * 500
    with WheelReader(out) as wheel:
        wheel.verify("demo/tool.sh")
        assert wheel.member("demo/tool.sh").permissions == 0o755
        assert b"".join(
            wheel.raw(wheel.extent("demo/tool.sh").data, wheel.extent("demo/tool.sh").data + stream.packed_size)
        ) == b"".join(stream.chunks())


def test_a_stream_that_is_not_the_one_that_was_made_is_refused(tmp_path: Path) -> None:
    base, out, stream = a_base(tmp_path), tmp_path / "out.whl", a_stream(tmp_path, b"other code\n" * 500)
    damaged = bytearray(stream.path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    stream.path.write_bytes(damaged)
    with pytest.raises(BadWheelError, match=r"data\.deflate is not what was deflated for `demo/tool\.sh`"):
        merged(base, out, replace={"demo/tool.sh": stream})
    assert not out.exists()
