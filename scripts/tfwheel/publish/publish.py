"""Publishes wheels in an order that is safe to interrupt: files before the pages that link to them.

``plan`` describes what ``publish`` would do; each step can be repeated. Until the new index is verified, a note beside
the site lists the unverified files: they are withdrawn if verification fails.
"""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from tfwheel.errors import FactoryError, PublishError
from tfwheel.index import ledger, manifest
from tfwheel.publish import admission, verify
from tfwheel.publish.errors import StoreError
from tfwheel.publish.trial import Trial
from tfwheel.system import console, locks
from tfwheel.wheel import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfwheel.index.ledger_entry import LedgerEntry
    from tfwheel.publish.publication import Publication
    from tfwheel.publish.stores import Store
    from tfwheel.publish.trial import Note

AS_BEFORE = "Ledger and pages are as they were before; files that were uploaded stay in the store, unlisted."


def publish(job: Publication, *, on_step: Callable[[str], object] = console.detail) -> list[str]:
    """Publish wheels, or without wheels render the pages; returns lines about it. After a kill, the same call resumes.

    ``on_step`` is called with the name of each step before it runs. Raises the errors of ``admission.check`` before
    anything is written, then StoreError, NameTakenError, DiskFullError, VerifyError, DownloadError, or PublishError
    when a folder cannot be written; then ledger and pages are as before. Uploaded files stay in the store, but no page
    links to them.
    """
    render = admission.renderer(job)
    entries = admission.check(job, render, on_step=on_step)
    wheels = {wheel.name: wheel for wheel in job.wheels}
    for entry in entries:
        on_step(f"upload {entry.file}")
        _upload(job.store, wheels[entry.file], entry)
    with _naming(job.site), _alone(job):
        trial, before = Trial(ledger=job.ledger, site=job.site), _link(job.site)
        on_step("begin")
        note = left = trial.recover()
        try:
            note = trial.show(left, entries, render, on_step=on_step)
            _verify(job, note, entries, on_step)
        except (FactoryError, OSError, KeyboardInterrupt) as error:
            on_step("restore")
            trial.take_back(note)
            if isinstance(error, FactoryError) and AS_BEFORE not in error.remedy:
                error.remedy = f"{error.remedy} {AS_BEFORE}"
            raise
        on_step("end")
        trial.end()
        changed = _link(job.site) != before
    return [*_done(entries), f"{job.site}: the pages {'show the ledger' if changed else 'are as before'}"]


def plan(job: Publication) -> list[str]:
    """Describe what ``publish`` would do, one line each, and change nothing; raises the errors of its checks."""
    render = admission.renderer(job)
    entries = admission.check(job, render)
    known = ledger.read(job.ledger)
    future = ledger.grown(known, entries)
    files = {name: data for part in render(future).values() for name, data in part.make().items()}
    lines = [f"upload {name} to {entry.url}" for entry in entries for name in admission.missing(job.store, entry)]
    new = [entry for entry in entries if entry.file not in known.by_file]
    lines += [f"add to {job.ledger}: {entry.file}, sha256 {entry.sha256}" for entry in new]
    lines += _changes(job.site, files)
    if job.address:
        lines.append(f"verify {job.address}: all pages, and {len(entries)} wheels with their sidecars")
        lines += [f"install {name} from there with {', '.join(verify.CLIENTS)}" for name in job.installs]
    return lines


# --- the steps -------------------------------------------------------------------------------------------


def _upload(store: Store, wheel: Path, entry: LedgerEntry) -> None:
    """Put the sidecar and the wheel into the store, and check that it has both."""
    store.put(f"{wheel.name}{metadata.SIDECAR}", BytesIO(metadata.metadata_of(wheel)), sha256=entry.metadata_sha256)
    with wheel.open("rb") as stream:
        store.put(wheel.name, stream, sha256=entry.sha256)
    for name in admission.missing(store, entry):
        message = f"the store accepted {name} but does not have it"
        raise StoreError(message, remedy="Find out what else deletes files there, and run the same command again.")


@contextmanager
def _alone(job: Publication) -> Iterator[None]:
    """Keep other publishers from this site and from this ledger while the block runs."""
    with (
        locks.exclusive(
            job.site.with_name(f".{job.site.name}.publish.lock"), busy=f"another process publishes to {job.site}"
        ),
        locks.exclusive(
            job.ledger.with_name(f".{job.ledger.name}.publish.lock"), busy=f"another process publishes {job.ledger}"
        ),
    ):
        yield


def _verify(job: Publication, note: Note, entries: Sequence[LedgerEntry], on_step: Callable[[str], object]) -> None:
    """Look at the shown pages from outside, and install from them, if their URL is known."""
    if job.address:
        on_step("verify")
        new = {*note.files, *(entry.file for entry in entries)}
        sealed = (job.site / manifest.NAME).read_bytes()
        shown = verify.verify(job.address, new=new, expected=sealed, patience_s=job.patience_s)
        for file in job.installs:
            on_step(f"install {file}")
            verify.install(job.address, shown, file)


def _done(entries: Sequence[LedgerEntry]) -> list[str]:
    return [f"published {entry.file} at {entry.url}" for entry in entries]


# --- the current state -----------------------------------------------------------------------------------


def _link(site: Path) -> str:
    """Return what the site's link shows; empty without one."""
    return str(site.readlink()) if site.is_symlink() else ""


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
