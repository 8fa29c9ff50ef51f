"""Changes small inputs at random, from a seed: bits, lengths, pieces moved about, numbers that parsers trip over."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

ODD = (0, 1, 2, 7, 8, 16, 24, 63, 64, 255, 0x7FFF, 0xFFFE, 0xFFFF, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
ODDER = (1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 24, (1 << 64) - 1)


def mutated(data: bytes, choice: Random, fields: Sequence[tuple[int, int]] = ()) -> bytes:
    """The data with one to three changes; ``fields`` are (offset, size in bytes) of numbers, changed more often."""
    for _ in range(choice.choice((1, 1, 2, 3))):
        kind = choice.randrange(10)
        if fields and kind < 6:
            data = _with_number(data, choice, *choice.choice(fields))
        else:
            data = _CHANGES[kind % len(_CHANGES)](data, choice)
    return data


def _with_number(data: bytes, choice: Random, offset: int, size: int) -> bytes:
    if offset + size > len(data):
        return data
    was = int.from_bytes(data[offset : offset + size], "little")
    near = (was + choice.choice((-64, -24, -16, -8, -2, -1, 1, 2, 8, 16, 24, 64)), was * 2, len(data), len(data) - was)
    number = choice.choice((*ODD, *ODDER, *near, *near)) % (1 << 8 * size)
    return data[:offset] + number.to_bytes(size, "little") + data[offset + size :]


def _flipped(data: bytes, choice: Random) -> bytes:
    at = choice.randrange(len(data) or 1)
    return data[:at] + bytes(byte ^ 1 << choice.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]


def _cut(data: bytes, choice: Random) -> bytes:
    return data[: choice.randrange(len(data) + 1)]


def _spliced(data: bytes, choice: Random) -> bytes:
    start, to = choice.randrange(len(data) + 1), choice.randrange(len(data) + 1)
    piece = data[start : start + choice.choice((1, 4, 8, 24, 64, 200))]
    return data[:to] + piece + data[to + choice.choice((0, len(piece))) :]


def _without(data: bytes, choice: Random) -> bytes:
    at = choice.randrange(len(data) + 1)
    return data[:at] + data[at + choice.choice((1, 4, 8, 24)) :]


_CHANGES = (_flipped, _cut, _spliced, _without)


def numbers_of_elf(data: bytes, *more: tuple[int, int]) -> list[tuple[int, int]]:
    """Where the numbers of an ELF file are: in its header, its section headers, and between ``more`` (start, end)."""
    (start,) = struct.unpack_from("<Q", data, 40)
    (count,) = struct.unpack_from("<H", data, 60)
    found = [(16, 2), (18, 2), (32, 8), (40, 8), (48, 4), (52, 2), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2)]
    for header in range(start, start + 64 * count, 64):
        found += [(header, 4), (header + 4, 4), *((header + at, 8) for at in (8, 16, 24, 32))]
        found += [(header + 40, 4), (header + 44, 4), (header + 48, 8), (header + 56, 8)]
    return found + [
        (at, size) for begin, end in more for size in (2, 4, 8) for at in range(begin, end - size + 1, size)
    ]
