"""Opening a finished wheel for the gates: its own members lie unpacked, checked, for as long as it is open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakewheels import RULES, target
from rawzips import Entry, build, deflate, wheel_entries
from tfwheel.checks.opened_wheel import opened_ops
from tfwheel.errors import BadWheelError
from tfwheel.system import scratch as scratch_folders

if TYPE_CHECKING:
    from pathlib import Path

MEMBERS = {f"tfwheel_ops/{name}": name.encode() * size for name, size in (("a", 10), ("b", 400), ("c", 400), ("d", 20))}


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, the test's own."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return scratch_folders.home_in(scratch_folders.place())


def ops_wheel(folder: Path, *bad: str) -> Path:
    """An ops wheel in which the data of some members is not what RECORD and directory say."""
    entries = wheel_entries(*(Entry(name=name, data=data) for name, data in MEMBERS.items()))
    path = folder / "tfwheel_ops-1.0-py3-none-any.whl"
    path.write_bytes(
        build([replace(one, stream=deflate(one.data[::-1] + b"!")) if one.name in bad else one for one in entries])
    )
    return path


def test_own_members_lie_unpacked_while_the_wheel_is_open(tmp_path: Path, scratch: Path) -> None:
    with opened_ops(ops_wheel(tmp_path), target=target(), rules=RULES) as candidate:
        assert {name: candidate.own[name].read_bytes() for name in MEMBERS} == MEMBERS
        assert list(scratch.glob("gates-*"))
    assert not list(scratch.glob("gates-*"))


@pytest.mark.parametrize(
    ("bad", "named"),
    [("a", "a"), ("ad", "d"), ("abcd", "b"), ("acd", "c")],
)
def test_of_several_bad_members_the_largest_is_named_and_nothing_is_left(
    tmp_path: Path, scratch: Path, bad: str, named: str
) -> None:
    wheel = ops_wheel(tmp_path, *(f"tfwheel_ops/{name}" for name in bad))
    with (
        pytest.raises(BadWheelError, match=f"`tfwheel_ops/{named}` has another size"),
        opened_ops(wheel, target=target(), rules=RULES),
    ):
        pass
    assert not list(scratch.glob("gates-*"))
