"""A configuration with custom-op projects, for the modules that build them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import opsworld

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    return opsworld.make_sdk(tmp_path / "sdk")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return opsworld.make_settings(tmp_path / "settings", tmp_path / "repository")
