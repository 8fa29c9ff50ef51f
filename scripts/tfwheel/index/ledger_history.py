"""Checks in git that the ledger only grew; merges the ledgers of two branches."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tfwheel.errors import FactoryError, UsageError
from tfwheel.index import ledger
from tfwheel.index.errors import LedgerAccessError, LedgerHistoryError, LedgerMissingError, NameTakenError
from tfwheel.index.ledger import EDITABLE, LASTING, Ledger, differences
from tfwheel.system import git
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.index.ledger_entry import LedgerEntry

SHOWN = 10  # problems in one message
STAGES = (":1", ":2", ":3")  # of a conflicted file: base, ours, theirs (gitrevisions(7))


# --- nothing vanishes ------------------------------------------------------------------------------------


def check(path: Path, *, since: Sequence[str] = (), expected: bool = True) -> Ledger:
    """Validate a ledger and compare it with its earlier states; returns it.

    ``since`` names commits. The default is HEAD, its parents and the commit being merged, so that a merge which
    dropped one side is found before and after it is committed. A ledger outside git has no earlier state. Unless it is
    ``expected``, there may be none yet. Raises LedgerMissingError, LedgerDamagedError, LedgerHistoryError and
    NameTakenError.
    """
    found = ledger.read(path, expected=expected)
    commits = [_git(path, "rev-parse", "--verify", f"{name}^{{commit}}").strip() for name in since]
    for commit in commits or _origins(path):
        compare(found, since=_of(path, commit), name=f"commit {commit[:12]}")
    return found


def compare(new: Ledger, *, since: Ledger, name: str) -> None:
    """Check that no entry of an earlier state is missing and that only editable fields changed.

    ``name`` is the name of the earlier state in messages. Raises LedgerHistoryError, which names the files.
    """
    kept = set(new.lines)
    changed = [entry for entry, line in zip(since.entries, since.lines, strict=True) if line not in kept]
    found = [problem for old in changed if (problem := _lost(old, new.by_file.get(old.file)))]
    if found:
        more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        message = f"the ledger contradicts {name}:\n  " + "\n  ".join(found[:SHOWN]) + more
        raise LedgerHistoryError(message)


def _lost(old: LedgerEntry, new: LedgerEntry | None) -> str | None:
    if new is None:
        return f"{old.file} vanished without a recorded removal"
    changed = differences(old, new, (*LASTING, "uploaded"))
    if changed:
        return f"{old.file} was changed ({'; '.join(changed)})"
    if old.removed is not None and new.removed != old.removed:
        return f"{old.file} was removed ({old.removed}), and that is no longer recorded"
    return None


# --- merging two branches --------------------------------------------------------------------------------


def merge_branches(base: Path, ours: Path, theirs: Path) -> None:
    """Merge two ledgers as git's merge driver (gitattributes(5)): the result replaces ``ours``.

    If the two contradict each other, ``ours`` gets git's conflict markers and the error is raised: git reports a
    conflict, and neither side is dropped.
    """
    try:
        ledger.write(ours, join(*(ledger.read(path) for path in (base, ours, theirs))))
    except FactoryError:
        with suppress(CommandError):  # its exit code is the number of conflicts
            git.run("merge-file", "-L", "ours", "-L", "base", "-L", "theirs", ours, base, theirs)
        raise


def merge_conflicted(path: Path) -> Ledger:
    """Replace a conflicted ledger by the union of both sides; returns it.

    Raises UsageError when there is no conflict, LedgerMissingError and LedgerAccessError, and the errors of ``join``
    when the two sides contradict each other.
    """
    if path.is_dir():
        message = f"the ledger {path} cannot be merged: it is a folder"
        raise LedgerAccessError(message)
    if not path.parent.is_dir():
        message = f"there is no ledger {path}"
        raise LedgerMissingError(message)
    if not _is_conflicted(path):
        message = f"git reports no conflict in {path}"
        raise UsageError(message, remedy="There is nothing to merge; `check` says whether the ledger is valid.")
    return ledger.write(path, join(*(_of(path, stage) for stage in STAGES)))


def join(base: Ledger, ours: Ledger, theirs: Ledger) -> list[LedgerEntry]:
    """Return all entries of both sides with the edits of both; ``base`` is their common ancestor.

    Raises LedgerHistoryError when a side lost a file of ``base`` or both edited the same field of a file differently,
    and NameTakenError when one name belongs to two files.
    """
    for side, name in ((ours, "ours"), (theirs, "theirs")):
        compare(side, since=base, name=f"what both branches had ({name})")
    merged = theirs.by_file | ours.by_file
    for name in theirs.by_file.keys() & ours.by_file.keys():
        merged[name] = _one(base.by_file.get(name), ours.by_file[name], theirs.by_file[name])
    return list(merged.values())


def _one(base: LedgerEntry | None, ours: LedgerEntry, theirs: LedgerEntry) -> LedgerEntry:
    if ours == theirs:
        return ours
    changed = differences(ours, theirs)
    if changed:
        message = f"{ours.file} is the name of two files: {'; '.join(changed)}"
        raise NameTakenError(message)
    edits = {field: _field(field, base, ours, theirs) for field in EDITABLE}
    return replace(ours, uploaded=min(ours.uploaded, theirs.uploaded), **edits)


def _field(field: str, base: LedgerEntry | None, ours: LedgerEntry, theirs: LedgerEntry) -> Any:  # noqa: ANN401 -- the field's type
    before, left, right = (getattr(entry, field, None) for entry in (base, ours, theirs))
    if left in (before, right):
        return right
    if right == before:
        return left
    message = f"both branches changed `{field}` of {ours.file}: {left!r} and {right!r}"
    raise LedgerHistoryError(message, remedy="Make the two branches agree with `nox -s ledger`, then merge.")


# --- git -------------------------------------------------------------------------------------------------


def _origins(path: Path) -> list[str]:
    """Return HEAD, its parents and MERGE_HEAD; nothing outside git or before the first commit."""
    try:
        found = _git(path, "rev-parse", "--verify", "--quiet", "HEAD").split()
    except CommandError:
        return []
    found += _git(path, "rev-parse", "HEAD^@").split()
    with suppress(CommandError):
        found += _git(path, "rev-parse", "--verify", "--quiet", "MERGE_HEAD").split()
    return found


def _is_conflicted(path: Path) -> bool:
    """Return whether git waits for this file to be merged; raise UsageError where no git can say so."""
    try:
        return bool(_git(path, "ls-files", "--unmerged", "--", path.name))
    except CommandError as error:
        message = f"git does not know {path}: {(error.output or error.message).strip()}"
        raise UsageError(message, remedy="Merge in a checkout of git, in which two branches changed it.") from error


def _of(path: Path, state: str) -> Ledger:
    """Read the ledger of a commit or of a stage of git's index; empty if it has none."""
    place = f"{state}:./{path.name}"
    try:
        blob = _git(path, "rev-parse", "--verify", "--quiet", place).strip()
    except CommandError:
        return Ledger()
    return ledger.parse(_git(path, "cat-file", "blob", blob).encode(), name=place)


def _git(path: Path, *words: str) -> str:
    return git.run(*words, at=path.parent)
