"""One deflate stream from many blocks: any inflater reads it, and it is the same whoever made it."""

from __future__ import annotations

import hashlib
import os
import zlib
from typing import TYPE_CHECKING

import pytest

from tfwheel.system.errors import DiskFullError
from tfwheel.wheel.deflate import BLOCK, Deflated, deflate

if TYPE_CHECKING:
    from pathlib import Path

WORDS = b"".join(b"word %d, " % (number * number % 499) for number in range(20_000))
NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(128))


def deflated(folder: Path, data: bytes, block: int, monkeypatch: pytest.MonkeyPatch) -> Deflated:
    """Deflate these bytes in blocks of that size."""
    monkeypatch.setattr("tfwheel.wheel.deflate.BLOCK", block)
    (folder / "data").write_bytes(data)
    return deflate(folder / "data", folder / "new" / "stream")


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 8192, len(WORDS)])
def test_any_inflater_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    data = WORDS[:size]
    made = deflated(tmp_path, data, 4096, monkeypatch)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    assert inflater.decompress(made.path.read_bytes()) == data
    assert inflater.eof
    assert not inflater.unused_data


def test_says_what_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = deflated(tmp_path, WORDS, 4096, monkeypatch)
    assert (made.size, made.crc, made.sha256) == (len(WORDS), zlib.crc32(WORDS), hashlib.sha256(WORDS).hexdigest())
    stream = b"".join(made.chunks())
    assert stream == made.path.read_bytes()
    assert (made.packed_size, made.packed_sha256) == (len(stream), hashlib.sha256(stream).hexdigest())


def test_what_stands_before_a_block_serves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert deflated(tmp_path, NOISE * 16, len(NOISE), monkeypatch).packed_size < 2 * len(NOISE)


@pytest.mark.parametrize("cores", [1, 3])
def test_the_number_of_cores_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    here = deflated(tmp_path, WORDS, 4096, monkeypatch).packed_sha256
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert deflated(tmp_path, WORDS, 4096, monkeypatch).packed_sha256 == here


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        deflate(tmp_path / "missing", tmp_path / "stream")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_has_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        deflated(tmp_path, WORDS, BLOCK, monkeypatch)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["data"]
