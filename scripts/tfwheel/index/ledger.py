"""The ledger: one line per published file, append-only; everything the index shows is rendered from it.

Lines are sorted by upload time, then file name. A line begins with a digest of the rest, so that a hand-edited or cut
line is detected; what it says is checked by the schema of ``ledger_entry``, whoever reads or writes it.
"""

from __future__ import annotations

import gc
import re
from bisect import bisect
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from filelock import FileLock

from tfwheel.errors import UsageError
from tfwheel.index import ledger_entry
from tfwheel.index.errors import (
    LedgerAccessError,
    LedgerDamagedError,
    LedgerMissingError,
    NameTakenError,
    NotInLedgerError,
)
from tfwheel.index.ledger_entry import DECODER, LedgerEntry, digest_of
from tfwheel.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

CHECK = re.compile(rb'\{"_check":"([0-9a-f]{16})",')
encode = ledger_entry.encode
CHECKED = 29  # bytes of a line before those that its digest is of
CONFLICT_MARKERS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")
# Fields that may change after publication; all others identify the file.
EDITABLE = ("smoke", "gpu_smoke", "yanked", "attestation", "removed")
LASTING = tuple(name for name in LedgerEntry.__struct_fields__ if name not in {*EDITABLE, "uploaded"})
DERIVED = ("requires", "gencode")  # they follow from the bytes of the file; lines of older versions lack them


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """A ledger of valid, sorted entries, with their lines as they are in the file (without newlines).

    ``name`` is used in messages.
    """

    name: str = "the ledger"
    lines: tuple[bytes, ...] = ()
    entries: tuple[LedgerEntry, ...] = ()

    @property
    def data(self) -> bytes:
        """The bytes of the whole file."""
        return b"".join(line + b"\n" for line in self.lines)

    @cached_property
    def by_file(self) -> dict[str, LedgerEntry]:
        """The entries by file name; file names are unique."""
        return {entry.file: entry for entry in self.entries}

    def find(self, file: str) -> int | None:
        """Return the index of a file's line (from 0), or None."""
        return next((index for index, entry in enumerate(self.entries) if entry.file == file), None)


# --- reading and writing ---------------------------------------------------------------------------------


def read(path: Path, *, expected: bool = False) -> Ledger:
    """Read a ledger; a missing file is an empty ledger, or with ``expected`` a LedgerMissingError.

    Raises LedgerDamagedError for a line that is malformed, altered, cut, out of order or not valid, NameTakenError
    for a wheel that occurs twice, both of which name the line, and LedgerAccessError for what cannot be read.
    """
    with _access(path):
        if expected and not path.exists():
            message = f"there is no ledger {path}"
            raise LedgerMissingError(message)
        data = path.read_bytes() if path.exists() else b""
    return parse(data, name=str(path))


def parse(data: bytes, *, name: str) -> Ledger:
    """Parse a ledger from bytes, like ``read``; ``name`` is used in messages."""
    *lines, rest = data.split(b"\n")
    if rest:
        message = f"{name}, line {len(lines) + 1}: cut short, it does not end with a newline"
        raise LedgerDamagedError(message)
    with _no_collection():
        entries = tuple(_decoded(line, number, name) for number, line in enumerate(lines, 1))
        if found := ledger_entry.fault(entries):
            message = f"{name}, line {found[0] + 1}: not a valid entry: {found[1]}"
            raise LedgerDamagedError(message)
        return _ordered(Ledger(name=name, lines=tuple(lines), entries=entries))


def write(path: Path, entries: Iterable[LedgerEntry]) -> Ledger:
    """Write a ledger of exactly these entries, replacing the old file; entries in any order give equal bytes.

    Raises NameTakenError when entries contradict each other.
    """
    made = _grow(Ledger(name=str(path)), entries)
    _save(path, made.lines)
    return made


def append(path: Path, entries: Iterable[LedgerEntry]) -> Ledger:
    """Add published files and return the new ledger; safe to call from several processes at once.

    A known file keeps its entry, so publishing can be repeated. Raises NameTakenError when a name belongs to another
    file or was removed, and LedgerDamagedError when the ledger or an entry is invalid; then nothing is added.
    """
    with lock(path):
        old = read(path)
        new = grown(old, entries)
        if new is not old:
            _save(path, new.lines)
        return new


def grown(old: Ledger, entries: Iterable[LedgerEntry]) -> Ledger:
    """Return what ``append`` would write, or ``old`` if it has all entries; raises its errors and writes nothing."""
    new = [entry for entry in entries if not _is_known(old, entry)]
    return _grow(old, new) if new else old


def without(old: Ledger, files: Iterable[str]) -> Ledger:
    """Return a ledger without files that were appended but never published, or ``old`` if it has none of them."""
    gone = set(files)
    rows = [row for row in zip(old.lines, old.entries, strict=True) if row[1].file not in gone]
    if len(rows) == len(old.lines):
        return old
    return Ledger(name=old.name, lines=tuple(line for line, _ in rows), entries=tuple(entry for _, entry in rows))


def _grow(old: Ledger, new: Iterable[LedgerEntry]) -> Ledger:
    """Insert new entries among the old lines, which are not encoded again."""
    rows = list(zip(old.lines, old.entries, strict=True))
    for entry in new:
        rows.insert(bisect(rows, entry.place, key=lambda row: row[1].place), (_line(entry), entry))
    lines, entries = tuple(line for line, _ in rows), tuple(entry for _, entry in rows)
    return _ordered(Ledger(name=old.name, lines=lines, entries=entries))


def _save(path: Path, lines: Iterable[bytes]) -> None:
    with _access(path), writing(path) as stream:
        stream.writelines(line + b"\n" for line in lines)


# --- edits: one field of one line ------------------------------------------------------------------------


def yank(path: Path, file: str, reason: str = "") -> LedgerEntry:
    """Mark a file as yanked (PEP 592): installers select it only by an exact pin."""
    return _edit(path, file, yanked=reason)


def unyank(path: Path, file: str) -> LedgerEntry:
    """Remove the yanked mark of a file."""
    return _edit(path, file, yanked=None)


def remove(path: Path, file: str, reason: str) -> LedgerEntry:
    """Record that a file is gone for good; its line stays, so that the name is never used again."""
    if not reason.strip():
        message = f"{file} cannot be removed without a reason"
        raise UsageError(message, remedy="Say why the file is gone: `remove FILE --reason ...`.")
    return _edit(path, file, removed=reason)


def _edit(path: Path, file: str, **change: Any) -> LedgerEntry:  # noqa: ANN401 -- the types of the fields
    for reason in change.values():
        if not ledger_entry.is_reason(reason):
            message = f"the reason {reason!r} cannot be shown: it is too long, or has control or unreadable characters"
            raise UsageError(message, remedy=f"Say it in at most {ledger_entry.LONGEST_TEXT} readable characters.")
    with lock(path):
        old = read(path, expected=True)
        index = old.find(file)
        if index is None:
            message = f"{path} has no file {file!r}"
            raise NotInLedgerError(message)
        entry = old.entries[index]
        if entry.removed is not None:
            message = f"{file} was removed ({entry.removed}); its entry can no longer be changed"
            raise NameTakenError(message)
        changed = msgspec.structs.replace(entry, **change)
        if changed != entry:
            _save(path, (*old.lines[:index], _line(changed), *old.lines[index + 1 :]))
        return changed


# --- invariants ------------------------------------------------------------------------------------------


def differences(one: LedgerEntry, other: LedgerEntry, names: Sequence[str] = LASTING) -> list[str]:
    """Describe the named fields in which two entries differ, each with both values."""
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in names)
    return [f"{name}: {left!r} and {right!r}" for name, left, right in pairs if left != right]


def _is_known(ledger: Ledger, entry: LedgerEntry) -> bool:
    """Return whether the file is in the ledger; NameTakenError if its name belongs to another file."""
    known = ledger.by_file.get(entry.file)
    if known is None:
        return False
    if changed := differences(known, entry, [name for name in LASTING if name not in DERIVED]):
        message = f"{entry.file} is already published as another file or at another URL ({'; '.join(changed)})"
        moved = f"Publish it at the URL that it has: {known.url}. A published file is never moved."
        raise NameTakenError(message, remedy=moved if known.sha256 == entry.sha256 and known.url != entry.url else None)
    if known.removed is not None:
        message = f"{entry.file} was removed ({known.removed}); a removed name is never used again"
        raise NameTakenError(message)
    return True


def _ordered(ledger: Ledger) -> Ledger:
    """Check that the lines are sorted and that no wheel occurs twice, in any spelling; returns the ledger."""
    numbers: dict[tuple[str, str | None, str | None], int] = {}
    last = ("", "")
    for number, entry in enumerate(ledger.entries, 1):
        first = numbers.setdefault(ledger_entry.identity(entry.file), number)
        if first != number:
            message = f"{ledger.name}, lines {first} and {number}: {_twins(ledger.entries[first - 1], entry)}"
            raise NameTakenError(message)
        place = entry.place
        if place < last:
            message = f"{ledger.name}, line {number}: {entry.file} of {entry.uploaded} comes after {last[0]}"
            raise LedgerDamagedError(message)
        last = place
    return ledger


def _twins(one: LedgerEntry, other: LedgerEntry) -> str:
    if one.file != other.file:
        return f"{one.file} and {other.file} are one wheel to installers, which normalize name, version and tags"
    return f"{one.file} is listed twice ({'; '.join(differences(one, other)) or 'the same file twice'})"


def _line(entry: LedgerEntry) -> bytes:
    """Encode a new or changed entry, after the checks that its line has to pass when it is read."""
    try:
        found = ledger_entry.fault([entry])
        line = encode(entry)
        DECODER.decode(b"{" + line[CHECKED:])
    except (msgspec.MsgspecError, UnicodeError, TypeError, AttributeError) as error:
        found = 0, str(error)
    if found:
        message = f"{entry.file or 'an entry'} is not a valid ledger entry: {found[1]}"
        raise LedgerDamagedError(message, remedy="Correct the program that made this entry; nothing was written.")
    return line


def _decoded(line: bytes, number: int, name: str) -> LedgerEntry:
    """Decode a line whose digest is right; the schema is checked for all lines together."""
    match = CHECK.match(line)
    if not match or match[1] != digest_of(line[CHECKED:]):
        if line.startswith(CONFLICT_MARKERS):
            message = f"{name}, line {number}: two branches were not merged"
            raise LedgerDamagedError(message, remedy="Run `nox -s ledger -- merge`.")
        message = f"{name}, line {number}: altered, cut or not an entry: {line[:80]!r}"
        raise LedgerDamagedError(message)
    try:
        return DECODER.decode(b"{" + line[CHECKED:])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        message = f"{name}, line {number}: not an entry: {error}"
        raise LedgerDamagedError(message) from error


# --- the file --------------------------------------------------------------------------------------------


@contextmanager
def _no_collection() -> Iterator[None]:
    """Switch garbage collection off: no garbage arises here, and collecting would triple the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _access(path: Path) -> Iterator[None]:
    """Turn errors of the file system into LedgerAccessError."""
    try:
        yield
    except OSError as error:
        message = f"the ledger {path} cannot be read or written: {error.strerror or error}"
        raise LedgerAccessError(message) from error


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the ledger's lock; others hold it for seconds at most and it is freed on death, so it needs no timeout."""
    guard = FileLock(path.with_name(f".{path.name}.lock"))
    with _access(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        guard.acquire()
    try:
        yield
    finally:
        guard.release()
