"""A configuration with custom-op projects, and an engine with an image, for the modules that build them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import engines
import opsworld
import pythonimage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    return opsworld.make_sdk(tmp_path / "sdk")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return opsworld.make_settings(tmp_path / "settings", tmp_path / "repository")


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """A container engine that works here."""
    with engines.working() as found:
        yield found


@pytest.fixture(scope="session")
def tag(engine: str) -> Iterator[str]:
    """The tag of the Python in the image ``pythonimage.IMAGE``, which is made first."""
    with pythonimage.made(engine) as found:
        yield found
