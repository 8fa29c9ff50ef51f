"""Fixtures that every kind of test may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import fakewheels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def fake_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small "official" TensorFlow 2.20.0 for cp312 with real libraries. Read only."""
    return fakewheels.fake_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def fake_ops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ops wheel with a real library, not yet repaired. Read only."""
    return fakewheels.fake_ops(tmp_path_factory.mktemp("ops"))
