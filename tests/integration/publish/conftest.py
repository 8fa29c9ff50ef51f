"""Fixtures for tests of releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import githubapi
from releaseworld import World
from tfwheel.publish import github_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds were waited each time; in truth that takes none."""
    found: list[float] = []
    monkeypatch.setattr(github_api.time, "sleep", found.append)
    return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Everything is as it should be."""
    with githubapi.running() as github:
        yield World(tmp_path, github)
