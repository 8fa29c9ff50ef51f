"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

import pytest

from tfwheel.atomic import writing
from tfwheel.errors import DiskFullError

if TYPE_CHECKING:
    from pathlib import Path


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
