"""Read and write ZIP records as APPNOTE.TXT 6.3.10 defines them.

These functions take bytes only; they raise ValueError with a reason, to which the reader adds the file name.
"""

from __future__ import annotations

import stat
import struct
from datetime import UTC, datetime
from typing import Final

import msgspec

from tfwheel.errors import BadWheelError

LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")  # section 4.3.7
CENTRAL_HEADER: Final = struct.Struct("<4s6H3L5H2L")  # section 4.3.12
ZIP64_END: Final = struct.Struct("<4sQ2H2L4Q")  # section 4.3.14
ZIP64_LOCATOR: Final = struct.Struct("<4sLQL")  # section 4.3.15
END: Final = struct.Struct("<4s4H2LH")  # section 4.3.16
EXTRA_HEADER: Final = struct.Struct("<2H")  # section 4.5.1

LOCAL_SIGNATURE: Final = b"PK\x03\x04"
CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
DESCRIPTOR_SIGNATURE: Final = b"PK\x07\x08"  # section 4.3.9.3
ZIP64_END_SIGNATURE: Final = b"PK\x06\x06"
ZIP64_LOCATOR_SIGNATURE: Final = b"PK\x06\x07"
END_SIGNATURE: Final = b"PK\x05\x06"

STORED: Final = 0  # section 4.4.5
DEFLATED: Final = 8
FLAG_DESCRIPTOR: Final = 0x0008  # section 4.4.4, bit 3: crc and sizes follow the data
FLAG_UTF8: Final = 0x0800  # bit 11
KNOWN_FLAGS: Final = 0x0006 | FLAG_DESCRIPTOR | FLAG_UTF8  # bits 1 and 2 only state the deflate level
EXTRA_ZIP64: Final = 0x0001  # section 4.5.3
# Timestamps, owners and Java's mark, which change neither names nor contents. Others do: 0x7075 is a second name,
# 0x756e makes a link, and of most nobody knows what a program does with them.
HARMLESS_EXTRA: Final = (0x5455, 0x7875, 0xCAFE)
UNIX: Final = 3  # section 4.4.2.2
VERSION_DEFLATE: Final = 20  # section 4.4.3.2
VERSION_ZIP64: Final = 45

# Section 4.4.1.4: a field that cannot hold its value is filled with ones, and a ZIP64 record holds the value.
ONES_16: Final = 0xFFFF
ONES_32: Final = 0xFFFFFFFF
LARGEST_16 = ONES_16 - 1
LARGEST_32 = ONES_32 - 1

LONGEST_END: Final = ZIP64_END.size + ZIP64_LOCATOR.size + END.size  # bytes; archive comments are not allowed
LONGEST_DESCRIPTOR: Final = 24  # bytes: signature, crc, two sizes of 8 bytes


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the central directory; sizes and ``offset`` (of its local header) are in bytes.

    ``made_by`` and ``needed`` are versions (section 4.4.2, 4.4.3), ``extra`` is without its ZIP64 field.
    """

    name: str
    size: int
    compressed_size: int
    crc: int
    method: int
    offset: int
    flags: int
    time: int
    date: int
    external: int
    internal: int = 0
    made_by: int = UNIX << 8 | VERSION_DEFLATE
    needed: int = VERSION_DEFLATE
    extra: bytes = b""

    @property
    def is_directory(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith("/")

    @property
    def unix_mode(self) -> int:
        """File type and permissions, 0 without them; read whatever system ``made_by`` names, as pip does."""
        return self.external >> 16

    @property
    def permissions(self) -> int:
        """Permission bits of the extracted file, without set-user-id and the like."""
        return self.unix_mode & 0o777 or 0o644


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """Offset of the central directory and its number of entries; ``end`` is the first byte after it."""

    offset: int
    end: int
    count: int


FIRST_MOMENT, END_OF_TIME = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1980, 2108))


def dos_time(epoch: int) -> tuple[int, int]:
    """Return the (time, date) fields of section 4.4.6 for seconds since 1970 in UTC; BadWheelError for other years."""
    if not FIRST_MOMENT <= epoch < END_OF_TIME:
        message = f"a zip cannot date a file at {epoch} seconds since 1970: it knows the years 1980 to 2107"
        raise BadWheelError(message, remedy="Correct the epoch (SOURCE_DATE_EPOCH) that was given.")
    moment = datetime.fromtimestamp(epoch, UTC)
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    date = (moment.year - 1980) << 9 | moment.month << 5 | moment.day
    return time, date


def file_attributes(mode: int) -> int:
    """Return the external attributes of a regular file with these permission bits."""
    return (stat.S_IFREG | mode) << 16


def parse_end(tail: bytes, size: int) -> Directory:
    """Find the central directory from the last bytes of a file of ``size`` bytes (section 4.3.16).

    ``tail`` holds at least the end record and, where the file is long enough, the ZIP64 records before it.
    """
    position = size - END.size
    if len(tail) < END.size or tail[-END.size : -END.size + 4] != END_SIGNATURE:
        message = "does not end with a ZIP end record: not a zip, cut short, or followed by other bytes or a comment"
        raise ValueError(message)
    _, disk, start_disk, disk_count, count, length, offset, comment = END.unpack(tail[-END.size :])
    if disk or start_disk or disk_count != count or comment:
        message = "its end record declares several disks or a comment"
        raise ValueError(message)
    zip64 = tail[: -END.size][-ZIP64_LOCATOR.size - ZIP64_END.size :]
    if zip64[-ZIP64_LOCATOR.size :].startswith(ZIP64_LOCATOR_SIGNATURE):
        position -= len(zip64)
        count, length, offset = _parse_zip64_end(zip64, position, (count, length, offset))
    if offset + length != position:
        message = "its central directory does not end where the end record begins"
        raise ValueError(message)
    return Directory(offset=offset, end=position, count=count)


def _parse_zip64_end(data: bytes, position: int, small: tuple[int, int, int]) -> tuple[int, int, int]:
    """Read count, length and offset from the ZIP64 end record and its locator; ``small`` has the plain record's."""
    if len(data) != ZIP64_END.size + ZIP64_LOCATOR.size or not data.startswith(ZIP64_END_SIGNATURE):
        message = "its ZIP64 end record is not where it must be"
        raise ValueError(message)
    _, length, _, _, disk, start_disk, disk_count, count, *place = ZIP64_END.unpack(data[: ZIP64_END.size])
    _, locator_disk, locator_offset, disks = ZIP64_LOCATOR.unpack(data[ZIP64_END.size :])
    if (length, locator_offset) != (ZIP64_END.size - 12, position) or disk or start_disk or locator_disk or disks != 1:
        message = "its ZIP64 end record and locator contradict each other"
        raise ValueError(message)
    large = (count, place[0], place[1])
    agree = all(
        one in (other, ones) for one, other, ones in zip(small, large, (ONES_16, ONES_32, ONES_32), strict=True)
    )
    if disk_count != count or not agree:
        message = "its ZIP64 end record contradicts the plain one"
        raise ValueError(message)
    return large


def parse_central(data: bytes, count: int) -> list[Member]:
    """Read the whole central directory, which must hold exactly ``count`` entries (section 4.3.12)."""
    members = []
    position = 0
    while position < len(data):
        member, position = _parse_central_entry(data, position)
        members.append(member)
    if len(members) != count:
        message = f"its directory has {len(members)} entries where the end record says {count}"
        raise ValueError(message)
    return members


def _parse_central_entry(data: bytes, position: int) -> tuple[Member, int]:
    start = position + CENTRAL_HEADER.size
    if not data.startswith(CENTRAL_SIGNATURE, position) or start > len(data):
        message = "its central directory is damaged"
        raise ValueError(message)
    head = CENTRAL_HEADER.unpack_from(data, position)
    (_, made_by, needed, flags, method, time, date, crc, compressed, size, *rest) = head
    name_length, extra_length, comment_length, disk, internal, external, offset = rest
    end = start + name_length + extra_length
    if end > len(data) or comment_length or disk:
        message = "its central directory is damaged, or an entry has a comment or lies on another disk"
        raise ValueError(message)
    name = decode_name(data[start : start + name_length], flags)
    size, compressed, offset, extra = split_extra(data[start + name_length : end], (size, compressed, offset))
    return Member(
        name=name,
        size=size,
        compressed_size=compressed,
        crc=crc,
        method=method,
        offset=offset,
        flags=flags,
        time=time,
        date=date,
        external=external,
        internal=internal,
        made_by=made_by,
        needed=needed,
        extra=extra,
    ), end


def decode_name(raw: bytes, flags: int) -> str:
    """Decode a member's name: UTF-8 with flag bit 11, else ASCII, the part of CP437 every program reads alike."""
    try:
        return raw.decode("utf-8" if flags & FLAG_UTF8 else "ascii")
    except UnicodeDecodeError as error:
        message = f"the name {raw!r} is not in the encoding it claims"
        raise ValueError(message) from error


def split_extra(extra: bytes, fields: tuple[int, int, int]) -> tuple[int, int, int, bytes]:
    """Replace fields of ones by their ZIP64 values (section 4.5.3); return them and the rest of the extra data."""
    if not extra:
        return (*fields, b"")
    values, rest = list(fields), b""
    position, seen = 0, False
    while position < len(extra):
        kind, length = EXTRA_HEADER.unpack(extra[position : position + EXTRA_HEADER.size].ljust(4, b"\xff"))
        body = extra[position + EXTRA_HEADER.size : position + EXTRA_HEADER.size + length]
        if len(body) != length or kind not in (EXTRA_ZIP64, *HARMLESS_EXTRA) or (kind == EXTRA_ZIP64 and seen):
            message = f"an entry has damaged or unknown extra data, such as a second name or a link (kind {kind:#06x})"
            raise ValueError(message)
        if kind == EXTRA_ZIP64:
            seen = True
            values = _zip64_values(body, values)
        else:
            rest += extra[position : position + EXTRA_HEADER.size + length]
        position += EXTRA_HEADER.size + length
    size, compressed, offset = values
    return size, compressed, offset, rest


def _zip64_values(body: bytes, fields: list[int]) -> list[int]:
    wanted = [index for index, value in enumerate(fields) if value == ONES_32]
    if len(body) != 8 * len(wanted):
        message = "an entry's ZIP64 field does not fit its sizes"
        raise ValueError(message)
    for index, value in zip(wanted, struct.unpack(f"<{len(wanted)}Q", body), strict=True):
        fields[index] = value
    return fields


def local_length(head: bytes) -> int:
    """Return the length of a local header in bytes, from its fixed part (section 4.3.7)."""
    if len(head) < LOCAL_HEADER.size or not head.startswith(LOCAL_SIGNATURE):
        message = "its directory points to something that is not a local header"
        raise ValueError(message)
    name_length, extra_length = struct.unpack_from("<2H", head, LOCAL_HEADER.size - 4)
    return int(LOCAL_HEADER.size + name_length + extra_length)


def check_local(header: bytes, member: Member) -> None:
    """Raise ValueError unless a local header has the central entry's name, method, flags, time, crc and sizes."""
    _, _, flags, method, time, date, crc, compressed, size, name_length, _ = LOCAL_HEADER.unpack_from(header)
    name_end = LOCAL_HEADER.size + name_length
    size, compressed, _, _ = split_extra(header[name_end:], (size, compressed, 0))
    facts = (decode_name(header[LOCAL_HEADER.size : name_end], flags), flags, method, time, date)
    same = facts == (member.name, member.flags, member.method, member.time, member.date)
    numbers = (crc, compressed, size)
    known = numbers == (member.crc, member.compressed_size, member.size)
    if not same or not (known or (flags & FLAG_DESCRIPTOR and not any(numbers))):
        message = f"the local header of `{member.name}` contradicts the central directory"
        raise ValueError(message)


def descriptors(member: Member) -> set[bytes]:
    """Return every valid form of a member's data descriptor: with signature or not, short or ZIP64 (section 4.3.9)."""
    numbers = (member.crc, member.compressed_size, member.size)
    forms = {struct.pack("<L2Q", *numbers)}
    if max(numbers) <= ONES_32:
        forms.add(struct.pack("<3L", *numbers))
    return forms | {DESCRIPTOR_SIGNATURE + form for form in forms}


def pack_local(member: Member) -> bytes:
    """Return the local header of a member whose crc and sizes are known (section 4.3.7)."""
    large = max(member.size, member.compressed_size) > LARGEST_32
    sizes = (ONES_32, ONES_32) if large else (member.compressed_size, member.size)
    extra = _pack_zip64([member.size, member.compressed_size] if large else []) + member.extra
    name = member.name.encode()
    needed = VERSION_ZIP64 if large else member.needed
    head = (needed, member.flags, member.method, member.time, member.date, member.crc)
    return LOCAL_HEADER.pack(LOCAL_SIGNATURE, *head, *sizes, len(name), len(extra)) + name + extra


def pack_central(member: Member) -> bytes:
    """Return the central directory entry of a member (section 4.3.12)."""
    values = (member.size, member.compressed_size, member.offset)
    size, compressed, offset = (ONES_32 if value > LARGEST_32 else value for value in values)
    large = [value for value in values if value > LARGEST_32]
    extra = _pack_zip64(large) + member.extra
    name = member.name.encode()
    needed = max(member.needed, VERSION_ZIP64) if large else member.needed
    head = (member.made_by, needed, member.flags, member.method, member.time, member.date, member.crc)
    tail = (len(name), len(extra), 0, 0, member.internal, member.external, offset)
    return CENTRAL_HEADER.pack(CENTRAL_SIGNATURE, *head, compressed, size, *tail) + name + extra


def _pack_zip64(values: list[int]) -> bytes:
    if not values:
        return b""
    return EXTRA_HEADER.pack(EXTRA_ZIP64, 8 * len(values)) + struct.pack(f"<{len(values)}Q", *values)


def pack_end(directory: Directory) -> bytes:
    """Return the end record, after the ZIP64 ones where a value needs them (sections 4.3.14 to 4.3.16)."""
    count, length, offset = directory.count, directory.end - directory.offset, directory.offset
    zip64 = b""
    if count > LARGEST_16 or max(length, offset) > LARGEST_32:
        versions = (UNIX << 8 | VERSION_ZIP64, VERSION_ZIP64)
        numbers = (0, 0, count, count, length, offset)
        zip64 = ZIP64_END.pack(ZIP64_END_SIGNATURE, ZIP64_END.size - 12, *versions, *numbers)
        zip64 += ZIP64_LOCATOR.pack(ZIP64_LOCATOR_SIGNATURE, 0, directory.end, 1)
    count = ONES_16 if count > LARGEST_16 else count
    length, offset = (ONES_32 if value > LARGEST_32 else value for value in (length, offset))
    return zip64 + END.pack(END_SIGNATURE, 0, 0, count, count, length, offset, 0)
