"""Writes trees of a site until it is killed; a module of its own, for a process that does that has little to import."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

from tfwheel.index import atomic_tree
from tfwheel.index.atomic_tree import Part

if TYPE_CHECKING:
    from pathlib import Path


def write_for_ever(place: Path, first: int) -> None:
    """Write tree after tree, each of twenty files with the same number."""
    for number in itertools.count(first):
        text = str(number).encode()
        parts = {str(name): Part(key=str(number), make=partial(dict, {str(name): text})) for name in range(20)}
        atomic_tree.update(place, parts, keep_previous=True)
