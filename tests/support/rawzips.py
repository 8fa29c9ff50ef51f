"""Zip files put together field by field, so that each field can lie; the good ones are what zipfile would write."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import fakewheels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOCAL = ("needed", "flags", "method", "time", "date", "crc", "compressed", "size")
CENTRAL = ("made_by", *LOCAL)
END = ("disk", "start_disk", "disk_count", "count", "length", "offset", "comment")
INFO = "demo-1.0.dist-info"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One member; ``local`` and ``central`` override single fields of its two headers ("name" too, as bytes)."""

    name: str
    data: bytes = b""
    mode: int = 0o100644
    method: int = zlib.DEFLATED
    flags: int = 0
    stream: bytes | None = None
    descriptor: bytes = b""
    local_extra: bytes = b""
    central_extra: bytes = b""
    after: bytes = b""
    local: Mapping[str, int | bytes] = field(default_factory=dict)
    central: Mapping[str, int | bytes] = field(default_factory=dict)

    @property
    def compressed(self) -> bytes:
        """The data as it stands in the file."""
        return self.stream if self.stream is not None else deflate(self.data) if self.method else self.data

    def fields(self) -> dict[str, int | bytes]:
        """The honest value of every field."""
        numbers = {"crc": zlib.crc32(self.data), "compressed": len(self.compressed), "size": len(self.data)}
        return {
            "name": self.name.encode(),
            "made_by": 3 << 8 | 20,
            "needed": 20,
            "flags": self.flags,
            "method": self.method,
            "time": 0,
            "date": 0x5021,
            "disk": 0,
            "comment": b"",
            "external": self.mode << 16,
            **numbers,
        }


def deflate(data: bytes) -> bytes:
    """Raw deflate."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def build(entries: Sequence[Entry], *, prefix: bytes = b"", suffix: bytes = b"", **end: int) -> bytes:
    """The zip file; ``end`` overrides fields of the end record."""
    body, central = prefix, b""
    for entry in entries:
        offset = len(body)
        body += _local(entry) + entry.compressed + entry.descriptor + entry.after
        central += _central(entry, offset)
    values = {"disk": 0, "start_disk": 0, "disk_count": len(entries), "count": len(entries), "comment": 0}
    values |= {"length": len(central), "offset": len(body)} | end
    return body + central + struct.pack("<4s4H2LH", b"PK\5\6", *(values[key] for key in END)) + suffix


def _local(entry: Entry) -> bytes:
    values = entry.fields() | dict(entry.local)
    name = values["name"]
    head = struct.pack("<4s5H3L", b"PK\3\4", *(values[key] for key in LOCAL))
    return head + struct.pack("<2H", len(name), len(entry.local_extra)) + name + entry.local_extra


def _central(entry: Entry, offset: int) -> bytes:
    values = {"offset": offset} | entry.fields() | dict(entry.central)
    name, comment = values["name"], values["comment"]
    head = struct.pack("<4s6H3L", b"PK\1\2", *(values[key] for key in CENTRAL))
    lengths = (len(name), len(entry.central_extra), len(comment), values["disk"], 0)
    tail = struct.pack("<5H2L", *lengths, values["external"], values["offset"])
    return head + tail + name + entry.central_extra + comment


def wheel_entries(*extra: Entry, record: bytes | None = None) -> list[Entry]:
    """The members of a small wheel, and a RECORD that is true unless another is given."""
    entries = [
        Entry(name="demo/__init__.py", data=b"VALUE = 1\n"),
        *extra,
        Entry(name=f"{INFO}/METADATA", data=b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"),
        Entry(name=f"{INFO}/WHEEL", data=b"Wheel-Version: 1.0\nTag: py3-none-any\n"),
    ]
    true = fakewheels.record_of({one.name: one.data for one in entries if not one.name.endswith("/")}, INFO)
    return [*entries, Entry(name=f"{INFO}/RECORD", data=true if record is None else record)]
