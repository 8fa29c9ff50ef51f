"""The ledger: one line per published file, append-only; everything the index shows is rendered from it.

A line is canonical JSON (RFC 8259; keys sorted, no spaces, UTF-8) and begins with a digest of the rest, so that a
hand-edited or cut line is detected. Lines are sorted by upload time, then file name.
"""

from __future__ import annotations

import gc
import hashlib
import re
from bisect import bisect
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from filelock import FileLock
from packaging.utils import canonicalize_name

from tfwheel.errors import UsageError
from tfwheel.index.errors import LedgerDamagedError, NameTakenError, NotInLedgerError
from tfwheel.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Item = TypeVar("Item")
CHECK = re.compile(rb'\{"_check":"([0-9a-f]{16})",')
CONFLICT_MARKERS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")
# Fields that may change after publication; all others identify the file.
EDITABLE = ("smoke", "gpu_smoke", "yanked", "attestation", "removed")
SHAPES = {
    "file": r"[A-Za-z0-9][A-Za-z0-9._+-]*\.whl",
    "line": r"[a-z0-9]+",
    "sha256": r"[0-9a-f]{64}",
    "metadata_sha256": r"[0-9a-f]{64}",
    "uploaded": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",  # whole seconds: these texts sort like the times
    "url": r"(https?://\S+)?",
    "inputs": r"([0-9a-f]{64})?",
}


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """One published wheel.

    ``url`` is the absolute URL of the file, or empty if the file is next to its page. ``size`` is in bytes,
    ``uploaded`` in UTC as in PEP 700 ("2026-11-21T04:00:00Z"), ``metadata_sha256`` the digest of the wheel's METADATA.
    ``gpu_code`` is what the gates found in it: images ("sm_75") by kind (``gpu_support.KINDS``). ``smoke`` is the
    evidence of the CPU smoke test, ``gpu_smoke`` that of the smoke test on a GPU, None if it never ran. ``yanked`` is
    None or the reason, which may be empty (PEP 592). ``attestation`` is the URL of a signature, if there is one.
    ``removed`` is None or why the file is gone: such a line reserves the name for ever and appears on no page.
    ``inputs`` is the digest of the settings that all Pythons of the version share; empty if unknown.
    """

    project: str
    version: str
    file: str
    line: str
    url: str
    sha256: str
    size: int
    uploaded: str
    requires_python: str
    metadata_sha256: str
    target: str
    gpu_code: dict[str, tuple[str, ...]] = field(default_factory=dict)
    smoke: dict[str, Any] | None = None
    gpu_smoke: dict[str, Any] | None = None
    yanked: str | None = None
    attestation: str | None = None
    removed: str | None = None
    inputs: str = ""

    @property
    def folder(self) -> str:
        """The project's page below the root of the site, with the name normalized (PEP 503)."""
        return f"{self.line}/{canonicalize_name(self.project)}"

    @property
    def pin(self) -> str:
        """The requirement that selects exactly this version."""
        return f"{self.project}=={self.version}"

    @property
    def place(self) -> SortKey:
        """The sort key of its line in a ledger."""
        return SortKey(self.uploaded, self.file)


class SortKey(msgspec.Struct, frozen=True, order=True, gc=False):
    """Sort key of a ledger line; decoding it from 100,000 lines takes a fifth of the time of whole entries."""

    uploaded: str
    file: str


LASTING = tuple(field.name for field in fields(LedgerEntry) if field.name not in {*EDITABLE, "uploaded"})
ENCODER = msgspec.json.Encoder(order="sorted")
PLACE, ENTRY = msgspec.json.Decoder(SortKey), msgspec.json.Decoder(LedgerEntry)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """A ledger with whole, sorted lines; ``lines`` have no newlines, ``name`` is used in messages."""

    name: str = "the ledger"
    lines: tuple[bytes, ...] = ()
    paths: tuple[SortKey, ...] = ()

    @property
    def data(self) -> bytes:
        """The bytes of the whole file."""
        return b"".join(line + b"\n" for line in self.lines)

    @cached_property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """The entries of all lines, in order."""
        enabled = gc.isenabled()
        gc.disable()  # no garbage arises here, and collecting would triple the time
        try:
            return tuple(self.entry(index) for index in range(len(self.lines)))
        finally:
            if enabled:
                gc.enable()

    @cached_property
    def by_file(self) -> dict[str, LedgerEntry]:
        """The entries by file name; file names are unique."""
        return {entry.file: entry for entry in self.entries}

    def entry(self, index: int) -> LedgerEntry:
        """Decode the line at ``index`` (from 0); LedgerDamagedError when its fields are not those of an entry."""
        return _decoded(self.lines[index], ENTRY, f"{self.name}, line {index + 1}")

    def find(self, file: str) -> int | None:
        """Return the index of a file's line (from 0), or None."""
        return next((index for index, place in enumerate(self.paths) if place.file == file), None)


# --- reading and writing ---------------------------------------------------------------------------------


def encode(entry: LedgerEntry) -> bytes:
    """Encode an entry as one line, without its newline."""
    rest = ENCODER.encode(entry)[1:]
    return b'{"_check":"%s",%s' % (_digest(rest), rest)


def read(path: Path) -> Ledger:
    """Read a ledger; a missing file is an empty ledger.

    Raises LedgerDamagedError for a line that is malformed, altered, cut or out of order, and NameTakenError
    for a file name that occurs twice; both name the line.
    """
    return parse(path.read_bytes() if path.exists() else b"", name=str(path))


def parse(data: bytes, *, name: str) -> Ledger:
    """Parse a ledger from bytes, like ``read``; ``name`` is used in messages."""
    *lines, rest = data.split(b"\n")
    if rest:
        message = f"{name}, line {len(lines) + 1}: cut short, it does not end with a newline"
        raise LedgerDamagedError(message)
    paths = tuple(_place(line, where=f"{name}, line {number}") for number, line in enumerate(lines, 1))
    return _ordered(Ledger(name=name, lines=tuple(lines), paths=paths))


def write(path: Path, entries: Iterable[LedgerEntry]) -> Ledger:
    """Write a ledger of exactly these entries, replacing the old file; entries in any order give equal bytes.

    Raises NameTakenError when entries contradict each other.
    """
    made = _grow(Ledger(name=str(path)), entries)
    _save(path, made)
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
            _save(path, new)
        return new


def grown(old: Ledger, entries: Iterable[LedgerEntry]) -> Ledger:
    """Return what ``append`` would write, or ``old`` if it has all entries; raises its errors and writes nothing."""
    new = [entry for entry in entries if not _is_known(old, entry)]
    return _grow(old, new) if new else old


def without(old: Ledger, files: Iterable[str]) -> Ledger:
    """Return what ``withdraw`` would write, or ``old`` if it has none of these files; writes nothing."""
    gone = set(files)
    rows = [(line, place) for line, place in zip(old.lines, old.paths, strict=True) if place.file not in gone]
    if len(rows) == len(old.lines):
        return old
    return Ledger(name=old.name, lines=tuple(line for line, _ in rows), paths=tuple(place for _, place in rows))


def withdraw(path: Path, files: Iterable[str]) -> Ledger:
    """Delete the lines of files that were appended but never published; use ``remove`` for published files."""
    with lock(path):
        old = read(path)
        rest = without(old, files)
        if rest is not old:
            _save(path, rest)
        return rest


def _grow(old: Ledger, new: Iterable[LedgerEntry]) -> Ledger:
    """Insert new entries among the old lines, which are not encoded again."""
    lines, paths = list(old.lines), list(old.paths)
    for entry in new:
        _check_shape(entry)
        index = bisect(paths, entry.place)
        paths.insert(index, entry.place)
        lines.insert(index, encode(entry))
    return _ordered(Ledger(name=old.name, lines=tuple(lines), paths=tuple(paths)))


def _save(path: Path, made: Ledger) -> None:
    with writing(path) as stream:
        stream.writelines(line + b"\n" for line in made.lines)


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
    with lock(path):
        old = read(path)
        index = old.find(file)
        if index is None:
            message = f"{path} has no file `{file}`"
            raise NotInLedgerError(message)
        entry = old.entry(index)
        if entry.removed is not None:
            message = f"{file} was removed ({entry.removed}); its entry can no longer be changed"
            raise NameTakenError(message)
        changed = replace(entry, **change)
        if changed != entry:
            lines = (*old.lines[:index], encode(changed), *old.lines[index + 1 :])
            _save(path, replace(old, lines=lines))
        return changed


# --- invariants ------------------------------------------------------------------------------------------


def differences(one: LedgerEntry, other: LedgerEntry, names: Sequence[str] = LASTING) -> list[str]:
    """Describe the named fields in which two entries differ, each with both values."""
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in names)
    return [f"{name}: {left!r} and {right!r}" for name, left, right in pairs if left != right]


def _is_known(ledger: Ledger, entry: LedgerEntry) -> bool:
    """Return whether the file is in the ledger; NameTakenError if its name belongs to another file."""
    index = ledger.find(entry.file)
    if index is None:
        return False
    known = ledger.entry(index)
    if changed := differences(known, entry):
        message = f"{entry.file} is already published as another file or at another URL ({'; '.join(changed)})"
        moved = f"Publish it at the URL that it has: {known.url}. A published file is never moved."
        raise NameTakenError(message, remedy=moved if known.sha256 == entry.sha256 and known.url != entry.url else None)
    if known.removed is not None:
        message = f"{entry.file} was removed ({known.removed}); a removed name is never used again"
        raise NameTakenError(message)
    return True


def _check_shape(entry: LedgerEntry) -> None:
    wrong = [name for name, shape in SHAPES.items() if not re.fullmatch(shape, getattr(entry, name))]
    if entry.size <= 0:
        wrong.append("size")
    if wrong:
        values = ", ".join(f"{name} {getattr(entry, name)!r}" for name in wrong)
        message = f"{entry.file or 'an entry'} is not a valid ledger entry: {values}"
        raise LedgerDamagedError(message, remedy="Correct what the message names, in the wheel or in the URL it gets.")


def _ordered(ledger: Ledger) -> Ledger:
    """Check that the lines are sorted and that no file name occurs twice; returns the ledger."""
    numbers: dict[str, int] = {}
    last = SortKey("", "")
    for number, place in enumerate(ledger.paths, 1):
        first = numbers.setdefault(place.file, number)
        if first != number:
            changes = differences(ledger.entry(first - 1), ledger.entry(number - 1))
            what = "; ".join(changes) or "the same file twice"
            message = f"{ledger.name}, lines {first} and {number}: {place.file} is listed twice ({what})"
            raise NameTakenError(message)
        if place < last:
            message = f"{ledger.name}, line {number}: {place.file} of {place.uploaded} comes after {last.uploaded}"
            raise LedgerDamagedError(message)
        last = place
    return ledger


def _place(line: bytes, *, where: str) -> SortKey:
    match = CHECK.match(line)
    if not match or match[1] != _digest(line[match.end() :]):
        raise _damage(line, where)
    return _decoded(line, PLACE, where)


def _decoded(line: bytes, decoder: msgspec.json.Decoder[Item], where: str) -> Item:
    try:
        return decoder.decode(line)
    except msgspec.MsgspecError as error:
        message = f"{where}: not an entry: {error}"
        raise LedgerDamagedError(message) from error


def _damage(line: bytes, where: str) -> LedgerDamagedError:
    if line.startswith(CONFLICT_MARKERS):
        message = f"{where}: two branches were not merged"
        return LedgerDamagedError(message, remedy="Run `python scripts/edit_ledger.py merge`.")
    return LedgerDamagedError(f"{where}: altered, cut or not an entry: {line[:80].decode(errors='replace')}")


def _digest(rest: bytes) -> bytes:
    return hashlib.sha256(rest).hexdigest()[:16].encode()


def lock(path: Path) -> FileLock:
    """Return the ledger's file lock; it is held for seconds at most and freed on death, so it needs no timeout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))
