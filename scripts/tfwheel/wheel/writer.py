"""Make a new wheel from an old one: copy unchanged members as compressed bytes, write only what changes."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from msgspec.structs import replace

from tfwheel.errors import BadWheelError
from tfwheel.system import scratch
from tfwheel.system.files import writing
from tfwheel.wheel import zip_records
from tfwheel.wheel.deflate import Deflated
from tfwheel.wheel.metadata import RecordRow, format_record
from tfwheel.wheel.reader import CHUNK, WheelReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfwheel.wheel.zip_records import Member

LEVEL = 6  # deflate; zlib's own default, fixed because the bytes depend on it
SPOOL = 16 << 20  # bytes of compressed data held in memory before a file takes over


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file to add: its bytes in pieces, read once, when it is written, and its permission bits."""

    content: Iterable[bytes]
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The differences between the new wheel and its base; names are those in the new wheel.

    ``dist_info`` is the new name of the metadata folder. ``replace`` keeps the permissions of the old member; content
    that is deflated already is copied. RECORD is always rewritten. ``epoch`` (seconds since 1970) is the date of every
    written member.
    """

    dist_info: str
    epoch: int
    add: Mapping[str, NewFile] = field(default_factory=dict)
    replace: Mapping[str, Iterable[bytes] | Deflated] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class MergeResult:
    """The new wheel's sha256, its size in bytes, and the number of members copied with their headers."""

    sha256: str
    size: int
    kept: int


def merge(base: WheelReader, out: Path, *, changes: Changes) -> MergeResult:
    """Write ``out`` from ``base`` and the changes, atomically; same inputs, same bytes.

    The order is: kept and replaced members as in the base, added ones sorted, the metadata folder, RECORD last
    (PEP 427 recommends the metadata folder at the end). The result is opened and checked before it gets its name: the
    whole structure, crc and hash of every written member, and the directory entries of kept and placed ones. Raises
    DiskFullError, and BadWheelError if base and changes do not make a sound wheel.
    """
    names = _new_names(base, changes)
    with writing(out) as stream:
        writer = _Writer(base, stream, changes.epoch)
        _write_members(writer, names, changes)
        writer.finish(f"{changes.dist_info}/RECORD")
        _check_result(base, Path(stream.name), names, writer)
    return MergeResult(sha256=writer.digest.hexdigest(), size=writer.position, kept=writer.kept)


def _new_names(reader: WheelReader, changes: Changes) -> dict[str, str]:
    """Map old to new name for every kept or replaced member, in file order; raise BadWheelError for impossible changes.

    Checks each member to be replaced or removed against RECORD: a change to unknown bytes would be unknown, too. A
    member with deflated content is not checked, because the code that deflated it read the old one.
    """
    old_folder, new_folder = f"{reader.dist_info}/", f"{changes.dist_info}/"
    names = {
        name: new_folder + name.removeprefix(old_folder) if name.startswith(old_folder) else name
        for name in reader.names()
        if name not in changes.remove
    }
    taken = set(names.values())
    impossible = {
        "added, but it is in the base already": changes.add.keys() & taken,
        "replaced, but it is not in the base": changes.replace.keys() - taken,
        "removed, but it is not in the base": changes.remove - set(reader.names()),
        "replaced or removed, but it is always rewritten": {f"{old_folder}RECORD", f"{new_folder}RECORD"}
        & {*changes.replace, *changes.remove},
    }
    for reason, found in impossible.items():
        if found:
            message = f"{reader.path.name}: `{min(found)}` was to be {reason}"
            raise BadWheelError(message)
    new_content = {new for new, content in changes.replace.items() if not isinstance(content, Deflated)}
    for name in (*changes.remove, *(old for old, new in names.items() if new in new_content)):
        reader.verify(name)
    return names


def _write_members(writer: _Writer, names: Mapping[str, str], changes: Changes) -> None:
    """Write everything but RECORD: package files, then the metadata folder, in each the added members last."""
    folder = f"{changes.dist_info}/"
    for in_folder in (False, True):
        for old, new in names.items():
            if new.startswith(folder) is not in_folder or new == f"{folder}RECORD":
                continue
            if new in changes.replace:
                writer.replace(old, new, changes.replace[new])
            elif new == old:
                writer.keep(old)
            else:
                writer.rename(old, new)
        for new in sorted(changes.add):
            if new.startswith(folder) is in_folder:
                writer.put(new, changes.add[new])


class _Writer:
    """The wheel being written; hashes what it writes and collects the entries of RECORD and the directory."""

    def __init__(self, base: WheelReader, stream: IO[bytes], epoch: int) -> None:
        self.base = base
        self.digest = hashlib.sha256()
        self.position = 0
        self.written: list[str] = []
        self.placed: dict[str, Member] = {}
        self.kept = 0
        self._stream = stream
        self._time, self._date = zip_records.dos_time(epoch)
        self._members: list[Member] = []
        self._rows: list[tuple[str, RecordRow]] = []
        self._run = (0, 0)

    def keep(self, name: str) -> None:
        """Copy a member as it is; neighbours in the base are copied together."""
        extent = self.base.extent(name)
        if self._run[1] != extent.start:
            self._flush()
            self._run = (extent.start, extent.start)
        self.kept += 1
        offset = self.position + extent.start - self._run[0]
        self._run = (self._run[0], extent.end)
        self._note(replace(self.base.member(name), offset=offset), self.base.record.get(name))

    def rename(self, old: str, new: str) -> None:
        """Copy a member's compressed data under another name."""
        self._flush()
        member, data = self.base.member(old), self.base.extent(old).data
        self._begin(replace(member, name=new, flags=_name_flag(new), extra=b""), self.base.record.get(old))
        self._copy(data, data + member.compressed_size)

    def replace(self, old: str, new: str, content: Iterable[bytes] | Deflated) -> None:
        """Write other content with the permissions of the old member."""
        mode = self.base.member(old).permissions
        if isinstance(content, Deflated):
            self.place(new, content, mode)
        else:
            self.put(new, NewFile(content=content, mode=mode))

    def place(self, name: str, content: Deflated, mode: int) -> None:
        """Copy a file that is deflated already; raise BadWheelError if the stream no longer has its hash."""
        self._flush()
        member = self._member(name, mode, size=content.size, compressed_size=content.packed_size, crc=content.crc)
        self._begin(member, RecordRow(algorithm="sha256", digest=bytes.fromhex(content.sha256), size=content.size))
        digest = hashlib.sha256()
        for piece in content.chunks():
            self._write(piece)
            digest.update(piece)
        if digest.hexdigest() != content.packed_sha256:
            message = f"{content.path} is not what was deflated for `{name}`"
            raise BadWheelError(message, remedy="Delete it and run again.")
        self.placed[name] = member

    def put(self, name: str, new: NewFile) -> None:
        """Deflate a new file; only the disk limits its size."""
        self._flush()
        deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        digest, crc, size = hashlib.sha256(), 0, 0
        with scratch.spooled(Path(self._stream.name).parent, in_memory=SPOOL) as spool:
            for piece in new.content:
                crc, size = zlib.crc32(piece, crc), size + len(piece)
                digest.update(piece)
                spool.write(deflater.compress(piece))
            spool.write(deflater.flush())
            member = self._member(name, new.mode, size=size, compressed_size=spool.tell(), crc=crc)
            self._begin(member, RecordRow(algorithm="sha256", digest=digest.digest(), size=size))
            spool.seek(0)
            while chunk := spool.read(CHUNK):
                self._write(chunk)
        self.written.append(name)

    def finish(self, record: str) -> None:
        """Write RECORD, the central directory and the end record."""
        self.put(record, NewFile(content=[format_record(self._rows, record)]))
        start = self.position
        self._write(b"".join(zip_records.pack_central(member) for member in self._members))
        end = zip_records.Directory(offset=start, end=self.position, count=len(self._members))
        self._write(zip_records.pack_end(end))
        self._stream.flush()

    def _member(self, name: str, mode: int, *, size: int, compressed_size: int, crc: int) -> Member:
        return zip_records.Member(
            name=name,
            size=size,
            compressed_size=compressed_size,
            crc=crc,
            method=zip_records.DEFLATED,
            offset=self.position,
            flags=_name_flag(name),
            time=self._time,
            date=self._date,
            external=zip_records.file_attributes(mode),
        )

    def _begin(self, member: Member, row: RecordRow | None) -> None:
        member = replace(member, offset=self.position)
        self._note(member, row)
        self._write(zip_records.pack_local(member))

    def _note(self, member: Member, row: RecordRow | None) -> None:
        self._members.append(member)
        if row:
            self._rows.append((member.name, row))

    def _flush(self) -> None:
        """Copy the run of kept members that is not copied yet."""
        self._copy(*self._run)
        self._run = (0, 0)

    def _copy(self, start: int, end: int) -> None:
        for piece in self.base.raw(start, end):
            self._write(piece)

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self.digest.update(data)
        self.position += len(data)


def _name_flag(name: str) -> int:
    return 0 if name.isascii() else zip_records.FLAG_UTF8


def _check_result(base: WheelReader, path: Path, names: Mapping[str, str], writer: _Writer) -> None:
    """Read the result back and check what was written; for copied data, check the directory entries only."""
    with WheelReader(path) as result:
        for name in writer.written:
            result.verify(name)
        for old, new in names.items():
            expected = writer.placed.get(new) or base.member(old)
            if new not in writer.written and _facts(expected) != _facts(result.member(new)):
                message = f"`{new}` did not survive the merge; the disk or this program is at fault"
                raise BadWheelError(message)


def _facts(member: Member) -> tuple[int, ...]:
    return member.crc, member.size, member.compressed_size, member.method, member.external
