"""Failures become a message, a remedy and an exit code, whatever they are."""

from __future__ import annotations

import argparse
import errno
from typing import TYPE_CHECKING

import pytest

from tfwheel import cli
from tfwheel.errors import OutOfMemoryError, UnexpectedError
from tfwheel.system.errors import DiskFullError, FileAccessError, HashMismatchError
from tfwheel.wheel.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Callable


def entering(monkeypatch: pytest.MonkeyPatch, action: Callable[[argparse.Namespace], None]) -> int:
    monkeypatch.setattr("sys.argv", ["door.py"])
    return cli.enter(argparse.ArgumentParser(), action)


def raising(error: BaseException) -> Callable[[argparse.Namespace], None]:
    def action(_: argparse.Namespace) -> None:
        raise error

    return action


def test_success_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    assert entering(monkeypatch, lambda _: None) == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PatchError("a.patch: hunk 2"), PatchError.exit_code),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "/x/wheel"), DiskFullError.exit_code),
        (OSError(errno.EACCES, "Permission denied", "/x"), FileAccessError.exit_code),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), FileAccessError.exit_code),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), FileAccessError.exit_code),
        (MemoryError(), OutOfMemoryError.exit_code),
        (ValueError("a bug"), UnexpectedError.exit_code),
    ],
)
def test_each_failure_has_its_exit_code(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    assert entering(monkeypatch, raising(error)) == code


def test_the_message_and_the_remedy_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entering(monkeypatch, raising(HashMismatchError("x.whl has other bytes", remedy="Fetch it again.")))
    said = capsys.readouterr().err
    assert "error: x.whl has other bytes" in said
    assert "what to do: Fetch it again." in said
    assert "HashMismatchError, exit code 21" in said


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    entering(monkeypatch, raising(ValueError("a bug")))
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("word", "seconds"), [("5h", 18_000), ("330m", 19_800), ("90s", 90), ("1s", 1)])
def test_a_time_is_a_number_and_its_unit(word: str, seconds: int) -> None:
    assert cli.duration(word) == seconds


@pytest.mark.parametrize("word", ["", "5", "h", "0h", "5 hours", "5h30m", "-1h", "1.5h", "\u0663h", "9" * 30 + "h"])
def test_what_is_no_time_is_refused(word: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        cli.duration(word)
