"""Fixtures for tests of wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the wheel of a test stands."""
    return tmp_path / "demo-1.0-py3-none-any.whl"
