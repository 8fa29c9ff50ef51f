"""Read a wheel at the zip level and trust nothing: reject whatever two programs could read differently."""

from __future__ import annotations

import csv
import hashlib
import os
import stat
import struct
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import msgspec
from zlib_ng import zlib_ng

from tfwheel.errors import BadWheelError
from tfwheel.system.files import creating
from tfwheel.wheel import member_names, zip_records
from tfwheel.wheel.metadata import SIGNATURES, RecordRow, parse_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tfwheel.wheel.zip_records import Member

CHUNK = 256 << 10  # bytes per read: the fastest size measured, and the unit of memory use
HEADER_GUESS = zip_records.LOCAL_HEADER.size + 256  # bytes that hold nearly every local header, read in one go
READ_LIMIT = 256 << 20  # bytes: the largest member that `read` puts into memory
DIST_INFO = ".dist-info"
LARGEST_DIRECTORY = 64 << 20  # bytes held in memory; that of TensorFlow has 3 MB
MOST_MEMBERS = 200_000  # TensorFlow has 22,000
LARGEST_WHEEL = 32 << 30  # bytes unpacked; TensorFlow for CUDA has 2 GB
MAKERS = (0, zip_records.UNIX)  # DOS and Unix: for others, programs translate names and permissions
DOS_FOLDER = 0x10  # in the external attributes
DEFLATE_RATIO = 1032  # the most bytes that one byte of a deflate stream can stand for


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """The offsets of a member in the file: its local header, its data, and the first byte after it."""

    start: int
    data: int
    end: int


class WheelReader:
    """An open wheel whose structure has been checked; a context manager.

    Opening reads the central directory, every local header and RECORD, but no other data. Reading a member checks it
    against size, crc and RECORD. Raises BadWheelError for what APPNOTE.TXT or PEP 427 forbid, and for what is allowed
    but has no place in a wheel: links, encryption, comments, bytes between members, names that lead out of the folder.

    ``dist_info`` is the name of the metadata folder, ``record`` maps a member to its row in RECORD. Several threads may
    read at once: nothing changes after opening, and pread needs no shared position.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and check its structure."""
        self.path = path
        self._members: dict[str, Member] = {}
        self._extents: dict[str, Extent] = {}
        self.dist_info = ""
        self.record: dict[str, RecordRow] = {}
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            message = f"{path} cannot be read: {error.strerror}"
            raise BadWheelError(message) from error
        try:
            with self._naming_file():
                self._load_directory()
                self._load_record()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return itself; the file is open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def names(self) -> tuple[str, ...]:
        """Return every member, folders too, in the order of the file."""
        return tuple(self._members)

    def member(self, name: str) -> Member:
        """Return the directory entry of a member (size, crc, offset, method, ...); raise BadWheelError without one."""
        if name not in self._members:
            message = f"{self.path.name} has no member `{name}`"
            raise BadWheelError(message)
        return self._members[name]

    def extent(self, name: str) -> Extent:
        """Return the offsets of a member in the file."""
        return self._extents[self.member(name).name]

    def raw(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of the file from ``start`` to ``end`` as they are, in pieces of at most CHUNK."""
        with self._naming_file():
            for position in range(start, end, CHUNK):
                yield self._at(position, min(CHUNK, end - position))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the uncompressed bytes of a member in pieces; raise BadWheelError at the end if a check fails.

        Never yields more bytes than the directory states, which stops a zip bomb.
        """
        member, extent, row = self.member(name), self.extent(name), self.record.get(name)
        digest = hashlib.new(row.algorithm if row else "sha256")
        crc = size = 0
        with self._naming_file():
            for piece in _inflated(self.raw(extent.data, extent.data + member.compressed_size), member.method):
                crc = zlib_ng.crc32(piece, crc)
                digest.update(piece)
                size += len(piece)
                if size > member.size:
                    break
                yield piece
            if (size, crc) != (member.size, member.crc):
                message = f"`{name}` has another size or crc than its directory says"
                raise ValueError(message)
            if row and digest.digest() != row.digest:
                message = f"RECORD lies about `{name}`: its {row.algorithm} is another one"
                raise ValueError(message)

    def read(self, name: str) -> bytes:
        """Return all bytes of a member, checked; raise BadWheelError if it is larger than READ_LIMIT."""
        if self.member(name).size > READ_LIMIT:
            message = f"{self.path.name}: `{name}` is too large to be held in memory ({self.member(name).size} bytes)"
            raise BadWheelError(message)
        return b"".join(self.chunks(name))

    def verify(self, name: str) -> None:
        """Read a member and discard it; raise BadWheelError if size, crc or RECORD disagree."""
        for _ in self.chunks(name):
            pass

    def extract(self, name: str, destination: Path) -> None:
        """Write a member to a scratch file, with its permissions; a member that fails a check leaves no file.

        A kill can leave half of one (see ``files.creating``).
        """
        with creating(destination, mode=self.member(name).permissions) as stream:
            for piece in self.chunks(name):
                stream.write(piece)

    def _load_directory(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        tail = min(size, zip_records.LONGEST_END)
        directory = zip_records.parse_end(self._at(size - tail, tail), size)
        if directory.end - directory.offset > LARGEST_DIRECTORY or directory.count > MOST_MEMBERS:
            message = (
                f"it has {directory.count:,} members, in a directory of {directory.end - directory.offset:,} bytes"
            )
            raise ValueError(message)
        central = self._at(directory.offset, directory.end - directory.offset)
        members = zip_records.parse_central(central, directory.count)
        member_names.check([member.name for member in members])
        if sum(member.size for member in members) > LARGEST_WHEEL:
            message = f"unpacked it would have more than {LARGEST_WHEEL:,} bytes"
            raise ValueError(message)
        members.sort(key=lambda member: member.offset)
        starts = [*(member.offset for member in members), directory.offset]
        if starts[0] or starts != sorted(starts):
            message = "there are bytes before its first member, or a member after its directory"
            raise ValueError(message)
        for member, end in zip(members, starts[1:], strict=True):
            _check_member(member)
            self._members[member.name] = member
            self._extents[member.name] = Extent(start=member.offset, data=self._data_offset(member, end), end=end)

    def _data_offset(self, member: Member, end: int) -> int:
        """Check a local header against the directory, and the member's size against the space before the next one."""
        space = end - member.offset
        head = self._at(member.offset, min(HEADER_GUESS, space))
        length = zip_records.local_length(head)
        gap = space - length - member.compressed_size
        if gap < 0:
            message = f"`{member.name}` overlaps what follows it"
            raise ValueError(message)
        if length > len(head):
            head = self._at(member.offset, length)
        zip_records.check_local(head[:length], member)
        has_descriptor = bool(member.flags & zip_records.FLAG_DESCRIPTOR)
        if gap > zip_records.LONGEST_DESCRIPTOR or bool(gap) != has_descriptor:
            message = f"`{member.name}` is followed by bytes that no member owns, or lacks its data descriptor"
            raise ValueError(message)
        if gap and self._at(end - gap, gap) not in zip_records.descriptors(member):
            message = f"the data descriptor of `{member.name}` contradicts the central directory"
            raise ValueError(message)
        return member.offset + length

    def _load_record(self) -> None:
        """Read RECORD and compare it with the directory: the same files with the same sizes (PEP 427)."""
        folders = {top for name in self._members if (top := name.partition("/")[0]).endswith(DIST_INFO)}
        if len(folders) != 1:
            message = f"it has {len(folders)} .dist-info folders where a wheel has one"
            raise ValueError(message)
        (self.dist_info,) = folders
        own = f"{self.dist_info}/RECORD"
        if own not in self._members:
            message = f"it has no `{own}`"
            raise ValueError(message)
        self.record = parse_record(self.read(own), own)
        exempt = {own, *(f"{self.dist_info}/{name}" for name in SIGNATURES)}
        files = {name for name, member in self._members.items() if not member.is_directory} - exempt
        if odd := sorted(files ^ self.record.keys()):
            message = f"RECORD and the members differ: `{odd[0]}` is in one only ({len(odd)} such)"
            raise ValueError(message)
        for name, row in self.record.items():
            if row.size not in (None, self._members[name].size):
                message = f"RECORD lies about `{name}`: {row.size} bytes where it has {self._members[name].size}"
                raise ValueError(message)

    def _at(self, position: int, length: int) -> bytes:
        """Read exactly ``length`` bytes; raise ValueError at the end of the file."""
        data = os.pread(self._file.fileno(), length, position)
        if len(data) != length:
            message = f"it is cut short after {position + len(data)} bytes"
            raise ValueError(message)
        return data

    @contextmanager
    def _naming_file(self) -> Iterator[None]:
        """Turn an error of a parser into a BadWheelError that names the file."""
        try:
            yield
        except (ValueError, struct.error, OSError, zlib_ng.error, csv.Error) as error:  # type: ignore[misc]  # its stub
            message = f"{self.path.name}: {error}"
            raise BadWheelError(message) from error


def _inflated(pieces: Iterable[bytes], method: int) -> Iterator[bytes]:
    """Decompress in pieces of at most CHUNK, whatever the compression ratio is."""
    if method == zip_records.STORED:
        yield from pieces
        return
    inflater = zlib_ng.decompressobj(-zlib_ng.MAX_WBITS)
    for piece in pieces:
        rest = piece
        while rest:
            if inflater.eof:
                message = "a member has bytes after the end of its compressed data"
                raise ValueError(message)
            yield inflater.decompress(rest, CHUNK)
            rest = inflater.unconsumed_tail or inflater.unused_data
    yield inflater.flush()
    if not inflater.eof:
        message = "a member's compressed data has no end"
        raise ValueError(message)


def _check_member(member: Member) -> None:
    """Raise ValueError for what has no place in a wheel, or what two programs could read differently."""
    if member.method == zip_records.STORED and member.size != member.compressed_size:
        reason = "is stored, with two different sizes"
    elif member.is_directory and (member.size or member.compressed_size or member.crc):
        reason = "is a folder with contents"
    elif not member.name.isascii() and member.made_by >> 8 != zip_records.UNIX:
        reason = "has a name that programs decode differently, because no Unix system made it"
    elif member.size > DEFLATE_RATIO * member.compressed_size:
        reason = "says that it unpacks to more bytes than deflate can"
    else:
        reason = _odd_kind(
            flags=member.flags,
            needed=member.needed & 0xFF,
            method=member.method,
            maker=member.made_by >> 8,
            external=member.external,
            folder=member.is_directory,
        )
    if reason:
        message = f"`{member.name}` {reason}"
        raise ValueError(message)


@lru_cache(maxsize=256)  # a wheel has few kinds of members, and many of each
def _odd_kind(*, flags: int, needed: int, method: int, maker: int, external: int, folder: bool) -> str:
    """Return what has no place in a wheel about all members of a kind, or nothing."""
    reasons = {
        "is encrypted, or uses an unsupported zip feature": flags & ~zip_records.KNOWN_FLAGS,
        "needs a newer zip version than 4.5": needed > zip_records.VERSION_ZIP64,
        f"has the compression method {method}; stored and deflate are known": (
            method not in (zip_records.STORED, zip_records.DEFLATED)
        ),
        "is a folder for DOS and a file for Unix": external & DOS_FOLDER and not folder,
        f"was made by the system {maker}; {MAKERS} are known": maker not in MAKERS,
        "is a link or another special file": (
            stat.S_IFMT(external >> 16) not in (0, stat.S_IFDIR if folder else stat.S_IFREG)
        ),
    }
    return next((reason for reason, applies in reasons.items() if applies), "")
