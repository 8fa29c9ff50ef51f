"""Publishes wheels in an order that is safe to interrupt: files before the pages that link to them.

``plan`` describes what ``publish`` would do; each step can be repeated. Until the new index is verified, a note beside
the site lists the unverified files: they are withdrawn if verification fails.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING

from tfwheel.errors import FactoryError, PublishError, UsageError
from tfwheel.index import atomic_tree, ledger, listing_rules, manifest, site
from tfwheel.publish import dependency_confusion, verify
from tfwheel.publish.errors import StoreError
from tfwheel.system import console, files, locks
from tfwheel.wheel import metadata, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfwheel.index.ledger_entry import LedgerEntry
    from tfwheel.index.site import SiteContent
    from tfwheel.publish.stores import Store


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Wheels to publish, and where.

    Without ``content`` there are no pages for users. With it, the names of the wheels are checked against dependency
    confusion, unless ``guarded`` is off because that was done before. ``uploaded`` is the time of new entries, in UTC
    as in PEP 700. ``address`` is the public URL of the site, ending with a slash; without it the site is not verified
    here. The files of ``installs`` are installed with every client; ``patience_s`` is how long the host may take to
    show a change.
    """

    wheels: tuple[Path, ...]
    ledger: Path
    site: Path
    store: Store
    content: SiteContent | None = None
    uploaded: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    address: str | None = None
    installs: tuple[str, ...] = ()
    patience_s: float = 0
    guarded: bool = True

    @property
    def note(self) -> Path:
        """The list of unverified files; it exists only while there are any."""
        return self.site.with_name(f".{self.site.name}.trial.json")


@dataclass(frozen=True, kw_only=True)
class Unverified:
    """The files that are listed but not yet verified, and the manifest digest of the last good index ("": none)."""

    files: tuple[str, ...] = ()
    good: str = ""


def publish(job: Publication, *, on_step: Callable[[str], object] = console.detail) -> list[str]:
    """Publish wheels; returns one line for each. After a kill, the same call resumes.

    ``on_step`` is called with the name of each step before it runs. Raises UsageError, IndexEntryError for a wheel that
    may not be listed, StoreError, NameTakenError, VerifyError, or PublishError when the site cannot be written; then
    index and ledger are as before. Uploaded files stay in the store, but no page links to them.
    """
    on_step("check")
    entries = _entries(job)
    if job.content and job.guarded:
        on_step("guard")
        dependency_confusion.check_wheels(job.wheels, job.content.settings.index)
    for wheel, entry in zip(job.wheels, entries, strict=True):
        on_step(f"upload {wheel.name}")
        _upload(job.store, wheel, entry)
    lock = job.site.with_name(f".{job.site.name}.publish.lock")
    with _naming(job.site), locks.exclusive(lock, busy=f"another process publishes to {job.site}"):
        on_step("begin")
        unverified = _begin(job, entries)
        try:
            _list_and_verify(job, entries, unverified, on_step)
        except (FactoryError, OSError):
            on_step("restore")
            _restore(job, unverified)
            raise
        on_step("end")
        job.note.unlink()
    return [f"published {entry.file} at {entry.url}" for entry in entries]


def plan(job: Publication) -> list[str]:
    """Describe what ``publish`` would do, one line each, and change nothing; raises the errors of its checks."""
    entries = _entries(job)
    known = ledger.read(job.ledger)
    new = [entry for entry in entries if entry.file not in known.by_file]
    future = sorted([*known.entries, *new], key=lambda entry: entry.place)
    files = site.parts(b"".join(ledger.encode(entry) + b"\n" for entry in future), job.content)
    lines = [f"upload {name} to {entry.url}" for entry in entries for name in _missing(job.store, entry)]
    lines += [f"add to {job.ledger}: {entry.file}, sha256 {entry.sha256}" for entry in new]
    lines += _changes(job.site, {name: data for part in files.values() for name, data in part.make().items()})
    if job.address:
        lines.append(f"verify {job.address}: all pages, and {len(entries)} wheels with their sidecars")
        lines += [f"install {name} from there with {', '.join(verify.CLIENTS)}" for name in job.installs]
    return lines


# --- the steps -------------------------------------------------------------------------------------------


def _entries(job: Publication) -> tuple[LedgerEntry, ...]:
    """Return the new ledger entries of the wheels, after all checks that need no network."""
    unknown = set(job.installs) - {wheel.name for wheel in job.wheels}
    if unknown:
        message = f"{', '.join(sorted(unknown))} cannot be installed: not among the wheels that are published"
        raise UsageError(message, remedy="Name one of the wheels, without its folder.")
    for file in job.installs:
        verify.interpreter_for(file)
    return tuple(
        listing_rules.entry_from(
            wheel, records.load(records.path_for(wheel)), url=job.store.url(wheel.name), uploaded=job.uploaded
        )
        for wheel in job.wheels
    )


def _upload(store: Store, wheel: Path, entry: LedgerEntry) -> None:
    """Put the sidecar and the wheel into the store, and check that it has both."""
    store.put(f"{wheel.name}{metadata.SIDECAR}", BytesIO(metadata.metadata_of(wheel)), sha256=entry.metadata_sha256)
    with wheel.open("rb") as stream:
        store.put(wheel.name, stream, sha256=entry.sha256)
    for name in _missing(store, entry):
        message = f"the store accepted {name} but does not have it"
        raise StoreError(message)


def _missing(store: Store, entry: LedgerEntry) -> list[str]:
    """Return those of an entry's two files that the store does not have yet."""
    files = {entry.file + metadata.SIDECAR: entry.metadata_sha256, entry.file: entry.sha256}
    return [name for name, digest in files.items() if not store.holds(name, sha256=digest)]


def _begin(job: Publication, entries: Sequence[LedgerEntry]) -> Unverified:
    """Write the note of unverified files; a tree that a killed run left unverified is replaced by the last good one."""
    known = ledger.read(job.ledger).by_file
    new = {entry.file for entry in entries if entry.file not in known}
    good = _seen(job.site)
    if job.note.exists():
        left = Unverified(**json.loads(job.note.read_bytes()))
        new |= set(left.files)
        if good and left.good not in ("", good):
            atomic_tree.restore(job.site)
        good = good and left.good
    unverified = Unverified(files=tuple(sorted(new)), good=good)
    for cut_short in job.note.parent.glob(f".{job.note.name}.*"):  # by a kill
        cut_short.unlink()
    files.write_atomically(job.note, json.dumps(asdict(unverified)).encode())
    return unverified


def _list_and_verify(
    job: Publication, entries: Sequence[LedgerEntry], unverified: Unverified, on_step: Callable[[str], object]
) -> None:
    on_step("list")
    ledger.append(job.ledger, entries)
    on_step("show")
    _show(job)
    if job.address:
        on_step("verify")
        new = {*unverified.files, *(entry.file for entry in entries)}
        sealed = (job.site / manifest.NAME).read_bytes()
        shown = verify.verify(job.address, new=new, expected=sealed, patience_s=job.patience_s)
        for file in job.installs:
            on_step(f"install {file}")
            verify.install(job.address, shown, file)


def _show(job: Publication) -> None:
    lines = job.ledger.read_bytes() if job.ledger.exists() else b""
    atomic_tree.update(job.site, site.parts(lines, job.content), seal=manifest.seal, keep_previous=True)


def _restore(job: Publication, unverified: Unverified) -> None:
    """Show the last good tree again, and delete the lines of unverified files from the ledger."""
    if unverified.good and unverified.good != _seen(job.site):
        atomic_tree.restore(job.site)
    ledger.withdraw(job.ledger, unverified.files)
    if not unverified.good and job.site.exists():
        _show(job)
    job.note.unlink()


# --- the current state -----------------------------------------------------------------------------------


def _seen(site: Path) -> str:
    """Return the sha256 of the manifest of the current index; empty without one."""
    path = site / manifest.NAME
    return files.sha256_of(path) if path.exists() else ""


def _changes(site: Path, files: Mapping[str, bytes | Path]) -> list[str]:
    """Describe which pages would be written and removed; any change also changes the manifest."""
    old = {path.relative_to(site).as_posix() for path in site.rglob("*") if not path.is_dir()} - {manifest.NAME}
    written = [name for name, data in files.items() if name not in old or (site / name).read_bytes() != data]
    lines = [f"{'change' if name in old else 'make'} {site / name}" for name in sorted(written)]
    lines += [f"remove {site / name}" for name in sorted(old - files.keys())]
    verb = "change" if (site / manifest.NAME).exists() else "make"
    return [*lines, f"{verb} {site / manifest.NAME}"] if lines else []


@contextmanager
def _naming(site: Path) -> Iterator[None]:
    """Turn errors of the file system into PublishError."""
    try:
        yield
    except OSError as error:
        where = error.filename or f"{site}, or the ledger that it shows,"
        message = f"{where} cannot be written: {error.strerror or error}"
        raise PublishError(message) from error
