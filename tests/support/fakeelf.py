"""Writes small ELF files and fat binary containers byte by byte, for tests that must not start a compiler."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_DYNAMIC, SHT_NOBITS, SHT_DYNSYM = 1, 2, 3, 6, 8, 11
SHT_VERDEF, SHT_VERNEED, SHT_VERSYM = 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH = 1, 14, 15, 29
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


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A dynamic symbol, public and defined unless said otherwise; ``version`` is one of this library, or needed of one.

    With ``library`` it is undefined, of that version of that library.
    """

    name: str
    defined: bool = True
    version: str = ""
    library: str = ""
    binding: int = 1
    visibility: int = 0
    hidden: bool = False


def undefined(name: str, version: str = "", library: str = "", *, binding: int = 1) -> Symbol:
    """A symbol that the library asks others for."""
    return Symbol(name=name, defined=False, version=version, library=library, binding=binding)


def linked_elf(*symbols: Symbol, needed: tuple[str, ...] = (), soname: str = "") -> bytes:
    """A library with these dynamic symbols, as a linker lays their tables out."""
    defined = [*dict.fromkeys(one.version for one in symbols if one.version and one.defined)]
    asked = [*dict.fromkeys((one.library, one.version) for one in symbols if one.version and not one.defined)]
    strings = bytearray(b"\0")

    def text(word: str) -> int:
        strings.extend(word.encode() + b"\0")
        return len(strings) - len(word.encode()) - 1

    index = {("", version): 2 + number for number, version in enumerate(defined)}
    index |= {one: 2 + len(defined) + number for number, one in enumerate(asked)}
    table, numbers = bytearray(24), bytearray(2)
    for one in symbols:
        table += struct.pack("<IBBHQQ", text(one.name), one.binding << 4 | 2, one.visibility, int(one.defined), 0, 0)
        number = index["" if one.defined else one.library, one.version] if one.version else int(one.defined)
        numbers += struct.pack("<H", number | (0x8000 if one.hidden else 0))
    definitions = b"".join(
        struct.pack("<HHHHIII", 1, 0, 2 + at, 1, 0, 20, 28 if at < len(defined) - 1 else 0)
        + struct.pack("<II", text(version), 0)
        for at, version in enumerate(defined)
    )
    needs = b"".join(
        struct.pack("<HHIII", 1, 1, text(library), 16, 32 if at < len(asked) - 1 else 0)
        + struct.pack("<IHHII", 0, 0, index[library, version], text(version), 0)
        for at, (library, version) in enumerate(asked)
    )
    tags = [(DT_NEEDED, text(name)) for name in needed] + ([(DT_SONAME, text(soname))] if soname else [])
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in [*tags, (0, 0)])
    parts = [
        Part(name=".dynstr", data=bytes(strings), kind=SHT_STRTAB),
        Part(name=".dynamic", data=dynamic, kind=SHT_DYNAMIC, link=1, entry_size=16),
        Part(name=".dynsym", data=bytes(table), kind=SHT_DYNSYM, link=1, info=1, entry_size=24),
    ]
    if defined or asked:
        parts.append(Part(name=".gnu.version", data=bytes(numbers), kind=SHT_VERSYM, link=3, entry_size=2))
    if defined:
        parts.append(Part(name=".gnu.version_d", data=definitions, kind=SHT_VERDEF, link=1, info=len(defined)))
    if asked:
        parts.append(Part(name=".gnu.version_r", data=needs, kind=SHT_VERNEED, link=1, info=len(asked)))
    return elf(*parts)
