"""A change of a few bytes in a library: what retarget writes and the gates look for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ByteEdit:
    """The bytes expected at an offset of the file, and as many bytes to replace them.

    ``symbol`` names the function or constant that holds them, ``distance`` their offset in it.
    """

    what: str
    symbol: str
    distance: int
    offset: int
    expected: bytes
    replacement: bytes
