"""The ledger: one line per published file, append-only; everything the index shows is rendered from it.

A line is canonical JSON (RFC 8259; keys sorted, no spaces, UTF-8) and begins with a digest of the rest, so that a
hand-edited or cut line is found and named. Lines stand in the order of upload time, then file name.
"""

from __future__ import annotations

import gc
import hashlib
import re
from bisect import bisect
from dataclasses import dataclass, fields, replace
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
# What may change after a file was published; everything else says which file it is.
EDITABLE = ("smoke", "gpu_smoke", "yanked", "attestation", "removed")
SHAPES = {
    "file": r"[A-Za-z0-9][A-Za-z0-9._+-]*\.whl",
    "line": r"[a-z0-9]+",
    "sha256": r"[0-9a-f]{64}",
    "metadata_sha256": r"[0-9a-f]{64}",
    "uploaded": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",  # whole seconds, in which the order of texts is that of times
    "url": r"(https?://\S+)?",
}


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """One published wheel.

    ``url`` is the absolute address of the file, or empty where it stands beside its page. ``size`` is in bytes,
    ``uploaded`` in UTC as PEP 700 wants it ("2026-11-21T04:00:00Z"), ``metadata_sha256`` that of the wheel's METADATA.
    ``archs`` is the GPU code it compiled ("sm_75"). ``smoke`` is the evidence of the CPU smoke test, ``gpu_smoke``
    that of the one on a GPU, None where nobody ran it. ``yanked`` is None, or the reason, which may be empty (PEP 592).
    ``attestation`` is the address of a signature, where there is one. ``removed`` is None, or why the file is gone:
    such a line keeps its name taken for ever and is on no page.
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
    archs: tuple[str, ...] = ()
    smoke: dict[str, Any] | None = None
    gpu_smoke: dict[str, Any] | None = None
    yanked: str | None = None
    attestation: str | None = None
    removed: str | None = None

    @property
    def folder(self) -> str:
        """The project's page below the root of the site, with the name normalized (PEP 503)."""
        return f"{self.line}/{canonicalize_name(self.project)}"

    @property
    def pin(self) -> str:
        """The requirement that selects this version and nothing else."""
        return f"{self.project}=={self.version}"

    @property
    def place(self) -> SortKey:
        """Where it stands in a ledger."""
        return SortKey(self.uploaded, self.file)


class SortKey(msgspec.Struct, frozen=True, order=True, gc=False):
    """What the lines of a ledger are ordered by; of 100,000 lines it is read in a fifth of the time of the whole."""

    uploaded: str
    file: str


LASTING = tuple(field.name for field in fields(LedgerEntry) if field.name not in {*EDITABLE, "uploaded"})
ENCODER = msgspec.json.Encoder(order="sorted")
PLACE, ENTRY = msgspec.json.Decoder(SortKey), msgspec.json.Decoder(LedgerEntry)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """A ledger whose lines are whole and in order; ``lines`` are without their newlines, ``name`` is for messages."""

    name: str = "the ledger"
    lines: tuple[bytes, ...] = ()
    paths: tuple[SortKey, ...] = ()

    @cached_property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """What the lines say."""
        enabled = gc.isenabled()
        gc.disable()  # only objects that stay are made: looking for garbage among them takes twice as long as they do
        try:
            return tuple(self.entry(index) for index in range(len(self.lines)))
        finally:
            if enabled:
                gc.enable()

    @cached_property
    def by_file(self) -> dict[str, LedgerEntry]:
        """The entries by file name, which no two of them share."""
        return {entry.file: entry for entry in self.entries}

    def entry(self, index: int) -> LedgerEntry:
        """What one line says, counted from 0; LedgerDamagedError when its fields are not those of an entry."""
        return _decoded(self.lines[index], ENTRY, f"{self.name}, line {index + 1}")

    def find(self, file: str) -> int | None:
        """Which line is about a file, counted from 0."""
        return next((index for index, place in enumerate(self.paths) if place.file == file), None)


# --- reading and writing ---------------------------------------------------------------------------------


def encode(entry: LedgerEntry) -> bytes:
    """The one line (without its newline) that an entry is written as."""
    rest = ENCODER.encode(entry)[1:]
    return b'{"_check":"%s",%s' % (_digest(rest), rest)


def read(path: Path) -> Ledger:
    """Read a ledger; one that is not there is empty.

    Raises LedgerDamagedError for a line that is malformed, altered, cut or out of order, and NameTakenError
    for a file name that stands there twice; both name the line.
    """
    return parse(path.read_bytes() if path.exists() else b"", name=str(path))


def parse(data: bytes, *, name: str) -> Ledger:
    """As ``read``, from bytes; ``name`` is what messages call them."""
    *lines, rest = data.split(b"\n")
    if rest:
        message = f"{name}, line {len(lines) + 1}: cut short, it does not end with a newline"
        raise LedgerDamagedError(message)
    paths = tuple(_place(line, where=f"{name}, line {number}") for number, line in enumerate(lines, 1))
    return _ordered(Ledger(name=name, lines=tuple(lines), paths=paths))


def write(path: Path, entries: Iterable[LedgerEntry]) -> Ledger:
    """Write a ledger of exactly these entries, whatever was there; equal entries in any order give equal bytes.

    Raises NameTakenError when they contradict each other.
    """
    return _grow(Ledger(name=str(path)), entries, path)


def append(path: Path, entries: Iterable[LedgerEntry]) -> Ledger:
    """Add published files and return what the ledger holds then; many processes may do so at once.

    A file that is there already stays as it is, so that a publisher may run again. Raises NameTakenError, and
    adds nothing, when one of the names stands for another file or was removed, and LedgerDamagedError when the
    ledger or an entry is not valid.
    """
    with _lock(path):
        old = read(path)
        new = [entry for entry in entries if not _is_known(old, entry)]
        return _grow(old, new, path) if new else old


def withdraw(path: Path, files: Iterable[str]) -> Ledger:
    """Take back what was appended and then not published; what users may have installed is `remove`d instead."""
    with _lock(path):
        old, gone = read(path), set(files)
        rows = [(line, place) for line, place in zip(old.lines, old.paths, strict=True) if place.file not in gone]
        if len(rows) != len(old.lines):
            _save(path, (line for line, _ in rows))
        return Ledger(name=old.name, lines=tuple(line for line, _ in rows), paths=tuple(place for _, place in rows))


def _grow(old: Ledger, new: Iterable[LedgerEntry], path: Path) -> Ledger:
    """Put new entries in their places among the old lines, which are not made anew, and write all."""
    lines, paths = list(old.lines), list(old.paths)
    for entry in new:
        _check_shape(entry)
        index = bisect(paths, entry.place)
        paths.insert(index, entry.place)
        lines.insert(index, encode(entry))
    grown = _ordered(Ledger(name=old.name, lines=tuple(lines), paths=tuple(paths)))
    _save(path, lines)
    return grown


def _save(path: Path, lines: Iterable[bytes]) -> None:
    with writing(path) as stream:
        stream.writelines(line + b"\n" for line in lines)


# --- edits: one field of one line ------------------------------------------------------------------------


def yank(path: Path, file: str, reason: str = "") -> LedgerEntry:
    """Mark a file as yanked (PEP 592): installers take it only where it is pinned exactly."""
    return _edit(path, file, yanked=reason)


def unyank(path: Path, file: str) -> LedgerEntry:
    """Take the mark away."""
    return _edit(path, file, yanked=None)


def remove(path: Path, file: str, reason: str) -> LedgerEntry:
    """Record that a file is gone, for good: its line stays, so that nobody uses the name again."""
    if not reason.strip():
        message = f"{file} cannot be removed without a reason"
        raise UsageError(message, remedy="Say why the file is gone: `remove FILE --reason ...`.")
    return _edit(path, file, removed=reason)


def _edit(path: Path, file: str, **change: Any) -> LedgerEntry:  # noqa: ANN401 -- the types of the fields
    with _lock(path):
        old = read(path)
        index = old.find(file)
        if index is None:
            message = f"{path} has no file `{file}`"
            raise NotInLedgerError(message)
        entry = old.entry(index)
        if entry.removed is not None:
            message = f"{file} was removed ({entry.removed}); nothing about it changes any more"
            raise NameTakenError(message)
        changed = replace(entry, **change)
        if changed != entry:
            _save(path, (*old.lines[:index], encode(changed), *old.lines[index + 1 :]))
        return changed


# --- what may not be -------------------------------------------------------------------------------------


def differences(one: LedgerEntry, other: LedgerEntry, names: Sequence[str] = LASTING) -> list[str]:
    """The named fields in which two entries differ, with both values, as text."""
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in names)
    return [f"{name}: {left!r} and {right!r}" for name, left, right in pairs if left != right]


def _is_known(ledger: Ledger, entry: LedgerEntry) -> bool:
    """Whether the file is in the ledger; NameTakenError where only its name is."""
    index = ledger.find(entry.file)
    if index is None:
        return False
    known = ledger.entry(index)
    if changed := differences(known, entry):
        message = f"{entry.file} is published and stands for another file or place ({'; '.join(changed)})"
        raise NameTakenError(message)
    if known.removed is not None:
        message = f"{entry.file} was removed ({known.removed}); a removed name is not used again"
        raise NameTakenError(message)
    return True


def _check_shape(entry: LedgerEntry) -> None:
    wrong = [name for name, shape in SHAPES.items() if not re.fullmatch(shape, getattr(entry, name))]
    if entry.size <= 0:
        wrong.append("size")
    if wrong:
        values = ", ".join(f"{name} {getattr(entry, name)!r}" for name in wrong)
        message = f"{entry.file or 'an entry'} cannot stand in the ledger: {values}"
        raise LedgerDamagedError(message, remedy="Correct what made this entry; nothing was written.")


def _ordered(ledger: Ledger) -> Ledger:
    """The ledger, if each place comes after the one before it and no file name stands there twice."""
    numbers: dict[str, int] = {}
    last = SortKey("", "")
    for number, place in enumerate(ledger.paths, 1):
        first = numbers.setdefault(place.file, number)
        if first != number:
            changes = differences(ledger.entry(first - 1), ledger.entry(number - 1))
            what = "; ".join(changes) or "the same file twice"
            message = f"{ledger.name}, lines {first} and {number}: {place.file} stands there twice ({what})"
            raise NameTakenError(message)
        if place < last:
            message = f"{ledger.name}, line {number}: {place.file} of {place.uploaded} stands after {last.uploaded}"
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


def _lock(path: Path) -> FileLock:
    """Held for a second at most, and let go when its holder dies; so waiting for it needs no limit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))
