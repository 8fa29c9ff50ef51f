"""Read the table of symbol versions that a library needs of others (SHT_GNU_verneed; LSB core, "Symbol Versioning")."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION_NEED = struct.Struct("<HHIII")  # version, count, file, offsets of the first name and of the next record
VERSION_NAME = struct.Struct("<IHHII")  # hash, flags, other, name, offset of the next name
_NUMBERED = re.compile(r"([A-Z]+)_([0-9]{1,9}(?:\.[0-9]{1,9}){0,4})")


def needed(data: bytes, count: int) -> Iterator[int]:
    """Yield where the names of symbol versions are in their string table, from a SHT_GNU_verneed section.

    Each record says where the next one is. Raises ValueError if one is there before, or more are counted than fit in.
    """
    room = len(data) // VERSION_NAME.size
    position = 0
    for number in range(_counted(count, room)):
        _, names, _, first, following = VERSION_NEED.unpack_from(data, position)
        room -= _counted(names, room)
        at = position + first
        for index in range(names):
            _, _, _, name, step = VERSION_NAME.unpack_from(data, at)
            yield name
            at += _forward(step, last=index == names - 1)
        position += _forward(following, last=number == count - 1)


def _counted(count: int, room: int) -> int:
    if count > room:
        message = f"{count} symbol versions are counted where there is room for {room}"
        raise ValueError(message)
    return count


def _forward(step: int, *, last: bool) -> int:
    if not last and step < VERSION_NAME.size:
        message = f"a record of symbol versions is followed by one {step} bytes behind it"
        raise ValueError(message)
    return step


def highest(names: Iterable[str]) -> dict[str, str]:
    """Return the highest number of each family: GLIBC_2.4 and GLIBC_2.17 give {"GLIBC": "2.17"}."""
    found: dict[str, str] = {}
    for match in filter(None, map(_NUMBERED.fullmatch, names)):
        family, number = match.groups()
        found[family] = max(found.get(family, "0"), number, key=Version)
    return dict(sorted(found.items()))
