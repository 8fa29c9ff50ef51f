"""Small wheels for tests of the reader: written with other members beside their own, and why one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rawzips import Entry, build, wheel_entries
from tfwheel.errors import BadWheelError
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path


CONTENT = b"the same line again\n" * 50
FILE = Entry(name="demo/data.txt", data=CONTENT)


def write(path: Path, *extra: Entry) -> Path:
    """A wheel with these members beside its own."""
    path.write_bytes(build(wheel_entries(*extra)))
    return path


def refusal(path: Path) -> str:
    """Why a wheel is refused."""
    with pytest.raises(BadWheelError) as caught, WheelReader(path):
        pass
    assert path.name in caught.value.message
    return caught.value.message
