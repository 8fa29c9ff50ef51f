"""Wheels that lie, made from a seed, and what other programs see in one: zipfile, installer and unzip."""

from __future__ import annotations

import stat
import struct
import subprocess
import zipfile
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from installer.sources import WheelFile

import fakewheels
from mutations import mutated
from rawzips import INFO, Entry, build, deflate, wheel_entries
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

FILE = "demo-1.0-py3-none-any.whl"
PARTS = (
    *("demo", "Demo", "x", "X", "y.py", "x;1", "x;", "a\\b", "x\x85", "x\u2028y", "x\ny", "x\0y", "x\x1c", "\x7f"),
    *(
        "..",
        ".",
        "",
        "\u00e9",
        "e\u0301",
        "\u00df",
        "ss",
        "\U0001f600",
        "\ufb01",
        "\u202e",
        "C:x",
        "~",
        "-x",
        "x ",
        "x.",
    ),
    *(" ", "#U00e9", "%s", "*", '"q"', "a,b", "demo-1.0.data", "purelib", "platlib", "scripts", INFO),
    *("other.dist-info", "RECORD", "RECORD.jws", "n" * 256),
)
EXTRAS = (1, 7, 0x000D, 0x5455, 0x756E, 0x7075, 0x6375, 0x7855, 0x7875, 0x5855, 0x334D, 0x4C41, 0xCAFE, 0xFFFF)
MODES = (0o100644, 0o100755, 0o40755, 0o120777, 0o104755, 0, 0o10644)
BREAKS = ("\n", "\r\n", "\r", "\x85", "\u2028", "\x0c", "\x1d")


def hostile(choice: Random) -> bytes:
    """A wheel with one to three odd members or an odd RECORD; in one of four, bytes are changed at random, too."""
    extra = [_member(choice) for _ in range(choice.choice((1, 1, 2, 3)))]
    entries = wheel_entries(*extra)
    if choice.random() < 0.3:
        entries = [*entries[:-1], replace(entries[-1], data=_record(entries, choice))]
    if choice.random() < 0.2:
        choice.shuffle(entries)
    data = build(entries)
    return mutated(data, choice, _numbers(data)) if choice.random() < 0.25 else data


def _member(choice: Random) -> Entry:
    """A member that is odd in one way, or in none."""
    data = choice.choice((b"", b"x", b"x = 1\n" * 40, bytes(3000)))
    entry = Entry(
        name=choice.choice(("demo/{}", "demo/{}.py", "{}")).format(choice.randrange(99)),
        data=data,
        method=choice.choice((0, 8)),
    )
    odd = choice.choice((*_ODD, *_ODD, lambda same, _: same))(entry, choice)
    if not odd.name.isascii() and choice.random() < 0.8:
        return replace(odd, flags=odd.flags | 0x800)
    return odd


def _named(entry: Entry, choice: Random) -> Entry:
    parts = choice.choices(PARTS, k=choice.choice((1, 1, 2, 3)))
    return replace(entry, name="/".join(choice.choice((parts, ["demo", *parts]))))


def _folder(entry: Entry, choice: Random) -> Entry:
    name = choice.choice(("demo/sub/", "demo/", "z/", "demo-1.0.data/purelib/demo/"))
    stream = choice.choice((None, None, b"", b"\3\0", deflate(b"hidden"), b"hidden"))
    crc = {"crc": choice.choice((0, 0, 1))}
    mode = choice.choice((0o40755, 0, 0o100644))
    return replace(
        entry, name=name, data=b"", mode=mode, method=choice.choice((0, 0, 8)), stream=stream, local=crc, central=crc
    )


def _with_flags(entry: Entry, choice: Random) -> Entry:
    flags = choice.choice((0x800, 8, 0x808, 2, 4, 6, 1, 0x40, 0x2000))
    numbers = (zlib.crc32(entry.data), len(entry.compressed), len(entry.data))
    forms = (struct.pack("<3L", *numbers), struct.pack("<L2Q", *numbers), b"")
    descriptor = choice.choice((b"", b"PK\7\x08")) + choice.choice(forms) if flags & 8 else b""
    zeros = {"crc": 0, "compressed": 0, "size": 0} if flags & 8 and choice.random() < 0.5 else {}
    return replace(entry, flags=flags, descriptor=descriptor, local=zeros)


def _encoded(entry: Entry, choice: Random) -> Entry:
    name = choice.choice(("demo/é", "ß", "demo/x"))
    raw = {"name": name.encode(choice.choice(("cp437", "latin-1", "utf-8")))}
    return replace(entry, name=name, flags=choice.choice((0, 0x800)), local=raw, central=raw)


def _made_elsewhere(entry: Entry, choice: Random) -> Entry:
    made = {"made_by": choice.choice((0, 0, 3, 2, 10, 14, 19, 255)) << 8 | choice.choice((20, 45, 63))}
    if choice.random() < 0.5:
        made["external"] = choice.choice(MODES) << 16 | choice.choice((0, 0x10, 0x20, 1))
    return replace(entry, name=choice.choice((entry.name, "demo/é", "demo/SHOUT.PY")), central=made)


def _with_extra(entry: Entry, choice: Random) -> Entry:
    link = struct.pack("<L2HL2H", 0, 0o120777, 0, 0, 0, 0) + b"demo"
    other = b"\1" + struct.pack("<L", zlib.crc32(entry.name.encode())) + b"demo/other"
    body = choice.choice(
        (b"", bytes(14), link, struct.pack("<L", zlib.crc32(link)) + link[4:], other, b"\1" + bytes(4))
    )
    extra = struct.pack("<2H", choice.choice(EXTRAS), len(body)) + body
    pair = choice.choice(((extra, b""), (b"", extra), (extra, extra)))
    return replace(entry, local_extra=pair[0], central_extra=pair[1])


def _lying(entry: Entry, choice: Random) -> Entry:
    fields = entry.fields()
    key = choice.choice(("size", "compressed", "crc", "method", "needed", "date"))
    near = {key: (int(fields[key]) + choice.choice((-1, 1, 2, 8, 0x7F00))) % 0x10000}
    return replace(entry, local=choice.choice((near, {})), central=near)


def _streamed(entry: Entry, choice: Random) -> Entry:
    whole = deflate(entry.data)
    return replace(
        entry, method=8, stream=choice.choice((whole + b"x", whole[:-1], whole + whole, deflate(b"hidden"), b""))
    )


_ODD = (
    *(_named, _named, _named, _folder, _with_flags, _encoded, _made_elsewhere, _with_extra, _lying, _streamed),
    lambda entry, choice: replace(entry, mode=choice.choice(MODES)),
)


def _record(entries: Sequence[Entry], choice: Random) -> bytes:
    """A RECORD that is true but for one thing."""
    names = {one.name: one.data for one in entries[:-1] if not one.name.endswith("/")}
    lines = fakewheels.record_of(names, INFO).decode().splitlines()
    match choice.randrange(7):
        case 0:
            lines = lines[:-1]
        case 1:
            lines[-1] = f"{INFO}/RECORD,{lines[0].partition(',')[2]}"
        case 2:
            return choice.choice(BREAKS).join([*lines, ""]).encode()
        case 3:
            lines[0] = lines[0].rpartition(",")[0] + choice.choice((",", ",٣", ",07", ", 1"))
        case 4:
            lines.append(choice.choice((f"{INFO}/RECORD.jws,,", "nothing.py,,", "", ",,", '"')))
        case 5:
            lines[0] = lines[0].replace(",", "=,", 2).replace("=,", ",", 1)
        case _:
            choice.shuffle(lines)
    return "\n".join([*lines, ""]).encode()


def _numbers(data: bytes) -> list[tuple[int, int]]:
    """Where the numbers of a zip file are, in each of its headers."""
    found = []
    for signature, sizes in ((b"PK\3\4", "2222244422"), (b"PK\1\2", "2222224442222244"), (b"PK\5\6", "2222442")):
        at = data.find(signature)
        while at >= 0:
            place = at + 4
            for size in map(int, sizes):
                found.append((place, size))
                place += size
            at = data.find(signature, at + 4)
    return found


# --- what a program sees ---------------------------------------------------------------------------------


def seen_by_us(path: Path) -> dict[str, bytes]:
    """Every file, read and checked; raises BadWheelError."""
    with WheelReader(path) as wheel:
        return {name: wheel.read(name) for name in wheel.names() if not wheel.member(name).is_directory}


def seen_by_zipfile(path: Path) -> dict[str, bytes]:
    """Every file."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(set(archive.namelist())) == len(archive.namelist())
        return {one.filename: archive.read(one) for one in archive.infolist() if not one.is_dir()}


def seen_by_installer(path: Path) -> dict[str, bytes]:
    """Every file that it would install, by the path in RECORD; it must also agree with all of RECORD."""
    with WheelFile.open(path) as wheel:
        with suppress(WheelFile.validation_error):  # it insists on sizes, which PEP 376 does not
            wheel.validate_record()
        assert wheel.dist_info_dir == INFO
        return {record[0]: stream.read() for record, stream, _ in wheel.get_contents()}


def faults_found_by_installer(path: Path) -> list[str]:
    """What it says against RECORD, without missing sizes: PEP 376 allows them."""
    with WheelFile.open(path) as wheel:
        try:
            wheel.validate_record()
        except WheelFile.validation_error as error:
            return [issue for issue in error.issues if "is not included in RECORD" not in issue]
    return []


def unpacked_by_unzip(unzip: str, path: Path, folder: Path) -> dict[str, bytes]:
    """Every file that it writes; it must not warn, and write no link or the like."""
    done = subprocess.run(
        [unzip, "-qq", "-o", path, "-d", folder], check=False, capture_output=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for file in folder.rglob("*"):
        mode = file.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), file
        if stat.S_ISREG(mode):
            file.chmod(0o600)
            found[file.relative_to(folder).as_posix()] = file.read_bytes()
    return found
