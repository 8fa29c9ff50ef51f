"""Writes small ELF files and fat binary containers byte by byte, for tests that must not start a compiler."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_DYNAMIC, SHT_NOBITS, SHT_VERNEED = 1, 2, 3, 6, 8, 0x6FFFFFFE
DT_NEEDED, DT_RPATH, DT_RUNPATH = 1, 15, 29
MAGIC = 0xBA55ED50
PTX, ELF = 1, 2


@dataclass(frozen=True, kw_only=True)
class Part:
    """One section; ``link`` is the number of another (the first one given is number 1), ``address`` where it lies."""

    name: str
    data: bytes
    kind: int = SHT_PROGBITS
    link: int = 0
    info: int = 0
    entry_size: int = 0
    address: int = 0


def elf(*parts: Part) -> bytes:
    """A 64-bit little-endian shared object with these sections."""
    names = b"\0" + b"".join(part.name.encode() + b"\0" for part in parts) + b".shstrtab\0"
    everything = [*parts, Part(name=".shstrtab", data=names, kind=SHT_STRTAB)]
    body, headers = bytearray(), bytearray(64)
    for part in everything:
        body += bytes(-len(body) % 8)
        offset, name = 64 + len(body), names.index(b"\0" + part.name.encode() + b"\0") + 1
        facts = (part.kind, 0, part.address, offset, len(part.data), part.link, part.info, 8, part.entry_size)
        headers += struct.pack("<IIQQQQIIQQ", name, *facts)
        body += part.data
    body += bytes(-len(body) % 8)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    numbers = (3, 62, 1, 0, 0, 64 + len(body), 0, 64, 56, 0, 64, len(everything) + 1, len(everything))
    return ident + struct.pack("<HHIQQQIHHHHHH", *numbers) + bytes(body) + bytes(headers)


def dynamic_elf(*tags: tuple[int, str], versions: tuple[str, ...] = ()) -> bytes:
    """A library with these dynamic tags (number, text) that asks libc.so.6 for these symbol versions."""
    texts = ["libc.so.6", *(text for _, text in tags), *versions]
    at = [1 + sum(len(text) + 1 for text in texts[:index]) for index in range(len(texts))]
    strings = b"\0" + b"".join(text.encode() + b"\0" for text in texts)
    entries = [(number, at[1 + index]) for index, (number, _) in enumerate(tags)]
    table = b"".join(struct.pack("<QQ", *entry) for entry in [*entries, (0, 0)])
    need = struct.pack("<HHIII", 1, len(versions), at[0], 16, 0)
    for index in range(len(versions)):
        last = index == len(versions) - 1
        need += struct.pack("<IHHII", 0, 0, 2 + index, at[1 + len(tags) + index], 0 if last else 16)
    parts = [
        Part(name=".dynstr", data=strings, kind=SHT_STRTAB),
        Part(name=".dynamic", data=table, kind=SHT_DYNAMIC, link=1, entry_size=16),
        Part(name=".gnu.version_r", data=need, kind=SHT_VERNEED, link=1, info=1),
    ]
    return elf(*(parts if versions else parts[:2]))


def entry(kind: int, arch: int, payload: bytes = bytes(16), *, plain_size: int = 0, header_size: int = 64) -> bytes:
    """One entry of a container, as nvFatbin 12.5 lays it out."""
    fixed = struct.pack("<HHIQIIHHIII", kind, 0x101, header_size, len(payload), len(payload), 0, 7, 1, arch, 0, 0)
    return fixed + struct.pack("<QQQ", 0x2011, 0, plain_size) + bytes(header_size - 64) + payload


def container(*entries: bytes, version: int = 1, header_size: int = 16) -> bytes:
    """A container of these entries."""
    body = b"".join(entries)
    return struct.pack("<IHHQ", MAGIC, version, header_size, len(body)) + body
