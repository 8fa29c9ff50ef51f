"""Files appear whole or not at all; in scratch, whole or half, and never in another file's place on the disk."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tfwheel.system.errors import DiskFullError
from tfwheel.system.files import creating, writing

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_file_appears_with_its_permissions_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with writing(path, mode=0o755) as stream:
        stream.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        _write_half(path, error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path, error: BaseException) -> None:
    with writing(path) as stream:
        stream.write(b"half")
        raise error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_an_error_of_its_own(tmp_path: Path, number: int) -> None:
    with pytest.raises(DiskFullError, match="no space left"), writing(tmp_path / "file"):
        raise OSError(number, "full")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_system_pass(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), writing(tmp_path / "file"):
        raise PermissionError(errno.EACCES, "no")
    assert list(tmp_path.iterdir()) == []


# --- in scratch ------------------------------------------------------------------------------------------


def test_a_file_in_scratch_has_its_permissions_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    before = os.umask(0o077)
    try:
        with creating(path, mode=0o755) as stream:
            stream.write(b"new")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_an_old_file_in_scratch_is_replaced_not_written_into(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    other, path = tmp_path / "other", tmp_path / "file"
    other.write_bytes(b"dear")
    link(other, path)
    with creating(path) as stream:
        stream.write(b"new")
    assert (other.read_bytes(), path.read_bytes()) == (b"dear", b"new")
    assert not path.is_symlink()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failure_in_scratch_leaves_no_file(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        _create_half(tmp_path / "file", error)
    assert list(tmp_path.iterdir()) == []


def _create_half(path: Path, error: BaseException) -> None:
    with creating(path) as stream:
        stream.write(b"half")
        raise error


def test_a_disk_that_is_full_when_the_last_bytes_are_written_leaves_no_file_in_scratch(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="no space left while writing"):
        _create_on_a_full_disk(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def _create_on_a_full_disk(path: Path) -> None:
    with creating(path) as stream, Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), stream.fileno())
        stream.write(b"less than a buffer")
