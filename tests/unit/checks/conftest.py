"""Fixtures for tests of gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakewheels import fake_base

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An official wheel whose libraries are just bytes."""
    return fake_base(tmp_path_factory.mktemp("base"), binary=False)
