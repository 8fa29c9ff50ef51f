"""Read the tables of symbol versions that a library needs of others, and that it defines.

They are the sections SHT_GNU_verneed and SHT_GNU_verdef (LSB core, "Symbol Versioning").
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION_NEED = struct.Struct("<HHIII")  # version, count, file, offsets of the first name and of the next record
VERSION_NAME = struct.Struct("<IHHII")  # hash, flags, other, name, offset of the next name
VERSION_DEFINITION = struct.Struct("<HHHHIII")  # version, flags, index, count, hash, offsets of first name, next record
NUMBER = 0x7FFF  # the bits of an index that number a version; the highest one hides a symbol
_NUMBERED = re.compile(r"([A-Z]+)_([0-9]{1,9}(?:\.[0-9]{1,9}){0,4})")


class Needed(NamedTuple):
    """A version that is needed: its number in this library, and where its name and that of its library are."""

    number: int
    name: int
    library: int


def needed(data: bytes, count: int) -> Iterator[Needed]:
    """Yield the versions of a SHT_GNU_verneed section; their names are offsets in its string table.

    Each record says where the next one is. Raises ValueError if one is there before, or more are counted than fit in.
    """
    room = len(data) // VERSION_NAME.size
    position = 0
    for number in range(_counted(count, room)):
        _, names, library, first, following = VERSION_NEED.unpack_from(data, position)
        room -= _counted(names, room)
        at = position + first
        for place in range(names):
            _, _, index, name, step = VERSION_NAME.unpack_from(data, at)
            yield Needed(index & NUMBER, name, library)
            at += _forward(step, last=place == names - 1)
        position += _forward(following, last=number == count - 1)


def defined(data: bytes, count: int) -> Iterator[tuple[int, int]]:
    """Yield number and name of the versions of a SHT_GNU_verdef section; raise what ``needed`` does."""
    position = 0
    for number in range(_counted(count, len(data) // VERSION_DEFINITION.size)):
        _, _, index, _, _, first, following = VERSION_DEFINITION.unpack_from(data, position)
        (name,) = struct.unpack_from("<I", data, position + first)  # the first one; others are of versions it includes
        yield index & NUMBER, name
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
