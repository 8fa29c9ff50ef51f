"""Hostile wheels in the hands of unzip: it writes what the reader sees, or the reader refuses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hunting
import needs

if TYPE_CHECKING:
    from pathlib import Path


def test_hostile_wheels_are_unpacked_as_they_are_read_or_refused(tmp_path: Path) -> None:
    needs.programs("unzip")
    found = hunting.hunt("unzipped", tmp_path, seed=2, count=400)
    assert found["read"] > 30
    assert found["refused"] > 200
