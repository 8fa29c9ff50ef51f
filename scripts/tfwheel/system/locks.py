"""Hold an exclusive file lock: report what it waits for, and raise an error after an hour."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from tfwheel.system import console
from tfwheel.system.errors import TargetBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_TIMEOUT_S = 3600


@contextmanager
def attempted(path: Path) -> Iterator[bool]:
    """Yield whether nobody else has a lock, and hold it then while the block runs."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def exclusive(path: Path, *, busy: str) -> Iterator[None]:
    """Hold a lock while the block runs; while another process has it, print ``busy`` and wait for an hour at most.

    Raises TargetBusyError after that. The system releases the lock of a process that dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.say(f"  {busy}: waiting for it")
        try:
            lock.acquire(timeout=BUSY_TIMEOUT_S)
        except Timeout as error:
            message = f"{busy}, for more than {BUSY_TIMEOUT_S // 60} minutes now"
            raise TargetBusyError(message) from error
    try:
        yield
    finally:
        lock.release()
