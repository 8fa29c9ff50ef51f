"""How messages of gates name several things."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SHOWN = 5  # names in one message; the others are counted


def some(names: Collection[str]) -> str:
    """Return the first names, sorted, and how many more there are."""
    shown = sorted(names)[:SHOWN]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def listed(words: Iterable[str]) -> str:
    """Return all words in their order, or "none"."""
    return ", ".join(words) or "none"
