"""Deflate large files on all cores, to bytes that do not depend on the number of cores.

A file is cut into blocks of fixed size. Each is deflated by itself, with the 32 KiB before it as a dictionary, and ends
on a byte boundary (Z_SYNC_FLUSH), so that the concatenated results are one raw deflate stream (RFC 1951), as in pigz.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zlib_ng import zlib_ng

from tfwheel.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

# Measured on libtensorflow_cc.so.2 of 2.20.0 (1,019 MB; official: 336 MB): isal level 3 gives 363 MB in 3.1 s of one
# core, zlib-ng level 4 347 MB in 9.2 s, level 6 342 MB in 11.5 s. It is done once, and every user downloads it.
LEVEL = 6
BLOCK = 4 << 20  # bytes
WINDOW = 32 << 10  # bytes: the distance that deflate can refer back
CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Deflated:
    """A file as a raw deflate stream in another file.

    ``size``, ``crc`` and ``sha256`` are of the file, ``packed_size`` and ``packed_sha256`` of the stream.
    """

    path: Path
    size: int
    crc: int
    sha256: str
    packed_size: int
    packed_sha256: str

    def chunks(self) -> Iterator[bytes]:
        """Yield the stream in pieces of at most CHUNK bytes."""
        with self.path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk


def deflate(source: Path, out: Path) -> Deflated:
    """Write ``source`` deflated to ``out``, atomically, in constant memory. Raises DiskFullError."""
    digest, packed_digest, crc, size, packed_size = hashlib.sha256(), hashlib.sha256(), 0, 0, 0
    with writing(out) as stream, ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        waiting: deque[Future[bytes]] = deque()
        for block, before, last in _blocks(source):
            waiting.append(pool.submit(_deflated, block, before, last=last))
            crc, size = zlib_ng.crc32(block, crc), size + len(block)
            digest.update(block)
            while len(waiting) > 2 * len(os.sched_getaffinity(0)) or (last and waiting):
                packed = waiting.popleft().result()
                stream.write(packed)
                packed_digest.update(packed)
                packed_size += len(packed)
    return Deflated(
        path=out,
        size=size,
        crc=crc,
        sha256=digest.hexdigest(),
        packed_size=packed_size,
        packed_sha256=packed_digest.hexdigest(),
    )


def _blocks(source: Path) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield each block with the WINDOW bytes before it and whether it is the last; at least one, even if empty."""
    with source.open("rb") as stream:
        before, block, following = b"", stream.read(BLOCK), stream.read(BLOCK)
        while following:
            yield block, before, False
            before, block, following = block[-WINDOW:], following, stream.read(BLOCK)
        yield block, before, True


def _deflated(block: bytes, before: bytes, *, last: bool) -> bytes:
    deflater = zlib_ng.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
    return deflater.compress(block) + deflater.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
