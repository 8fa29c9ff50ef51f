"""The order of things when wheels are published: no page links to what is not there, and no kill does harm.

``plan`` says what would happen; ``publish`` does it, in steps that may each be done again. Until the new index is
verified, a note beside the site says which files are on trial: they are withdrawn if it turns out bad.
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

    from tfwheel.index.ledger import LedgerEntry
    from tfwheel.index.site import SiteContent
    from tfwheel.publish.stores import Store


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What is published, and where.

    ``content`` is what the pages for people say beyond the ledger; without it there are none. With it the names of
    the wheels are guarded, too, unless ``guarded`` is off because that was done before. ``uploaded`` is the time that
    new entries get, in UTC as PEP 700 wants it. ``address`` is where the site is seen from outside, ending with a
    slash; without one, verifying is left to whoever puts the site online. The files of ``installs`` are installed
    with every client; ``patience_s`` is how long the host may take to show a change.
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
        """Which files are on trial; there only while they are."""
        return self.site.with_name(f".{self.site.name}.trial.json")


@dataclass(frozen=True, kw_only=True)
class Unverified:
    """The files that are listed but not verified yet, and the digest of the last good index's manifest ("": none)."""

    files: tuple[str, ...] = ()
    good: str = ""


def publish(job: Publication, *, on_step: Callable[[str], object] = console.detail) -> list[str]:
    """Publish wheels; returns one line for each. The same call after a kill goes on where it stopped.

    ``on_step`` hears the name of each step before it is done. Raises UsageError, IndexEntryError for a wheel that may
    not be listed, StoreError, NameTakenError, VerifyError, or PublishError when the site cannot be written; index and
    ledger are then as they were. What was uploaded stays in the store, where no page links to it.
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
        trial = _begin(job, entries)
        try:
            _bring_about(job, entries, trial, on_step)
        except (FactoryError, OSError):
            on_step("restore")
            _restore(job, trial)
            raise
        on_step("end")
        job.note.unlink()
    return [f"published {entry.file} at {entry.url}" for entry in entries]


def plan(job: Publication) -> list[str]:
    """What ``publish`` would do, one line each; nothing is changed. Raises what its checks raise."""
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
    """What the ledger will say about the wheels, after all checks that need nothing but this machine."""
    strange = set(job.installs) - {wheel.name for wheel in job.wheels}
    if strange:
        message = f"{', '.join(sorted(strange))} cannot be installed: not among the wheels that are published"
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
    """Put the sidecar and the wheel into the store, and prove that both are there."""
    store.put(f"{wheel.name}{metadata.SIDECAR}", BytesIO(metadata.metadata_of(wheel)), sha256=entry.metadata_sha256)
    with wheel.open("rb") as stream:
        store.put(wheel.name, stream, sha256=entry.sha256)
    for name in _missing(store, entry):
        message = f"the store took {name} and does not have it"
        raise StoreError(message)


def _missing(store: Store, entry: LedgerEntry) -> list[str]:
    """Which of an entry's two files the store does not have yet."""
    files = {entry.file + metadata.SIDECAR: entry.metadata_sha256, entry.file: entry.sha256}
    return [name for name, digest in files.items() if not store.holds(name, sha256=digest)]


def _begin(job: Publication, entries: Sequence[LedgerEntry]) -> Unverified:
    """Note what is going to be on trial. A tree that a killed run left unverified gives way to the last good one."""
    known = ledger.read(job.ledger).by_file
    new = {entry.file for entry in entries if entry.file not in known}
    good = _seen(job.site)
    if job.note.exists():
        left = Unverified(**json.loads(job.note.read_bytes()))
        new |= set(left.files)
        if good and left.good not in ("", good):
            atomic_tree.restore(job.site)
        good = good and left.good
    trial = Unverified(files=tuple(sorted(new)), good=good)
    for cut_short in job.note.parent.glob(f".{job.note.name}.*"):  # by a kill
        cut_short.unlink()
    files.write_atomically(job.note, json.dumps(asdict(trial)).encode())
    return trial


def _bring_about(
    job: Publication, entries: Sequence[LedgerEntry], trial: Unverified, on_step: Callable[[str], object]
) -> None:
    on_step("list")
    ledger.append(job.ledger, entries)
    on_step("show")
    _show(job)
    if job.address:
        on_step("verify")
        new = {*trial.files, *(entry.file for entry in entries)}
        sealed = (job.site / manifest.NAME).read_bytes()
        shown = verify.verify(job.address, new=new, expected=sealed, patience_s=job.patience_s)
        for file in job.installs:
            on_step(f"install {file}")
            verify.install(job.address, shown, file)


def _show(job: Publication) -> None:
    lines = job.ledger.read_bytes() if job.ledger.exists() else b""
    atomic_tree.update(job.site, site.parts(lines, job.content), seal=manifest.seal, keep_previous=True)


def _restore(job: Publication, trial: Unverified) -> None:
    """Show the last good tree again, and take the lines of what was on trial out of the ledger."""
    if trial.good and trial.good != _seen(job.site):
        atomic_tree.restore(job.site)
    ledger.withdraw(job.ledger, trial.files)
    if not trial.good and job.site.exists():
        _show(job)
    job.note.unlink()


# --- what stands where -----------------------------------------------------------------------------------


def _seen(site: Path) -> str:
    """The sha256 of the manifest of the index that is shown; empty without one."""
    path = site / manifest.NAME
    return files.sha256_of(path) if path.exists() else ""


def _changes(site: Path, files: Mapping[str, bytes | Path]) -> list[str]:
    """Which pages would be written and removed; the manifest goes with any of them."""
    old = {path.relative_to(site).as_posix() for path in site.rglob("*") if not path.is_dir()} - {manifest.NAME}
    written = [name for name, data in files.items() if name not in old or (site / name).read_bytes() != data]
    lines = [f"{'change' if name in old else 'make'} {site / name}" for name in sorted(written)]
    lines += [f"remove {site / name}" for name in sorted(old - files.keys())]
    verb = "change" if (site / manifest.NAME).exists() else "make"
    return [*lines, f"{verb} {site / manifest.NAME}"] if lines else []


@contextmanager
def _naming(site: Path) -> Iterator[None]:
    """Give a failure of the file system its name."""
    try:
        yield
    except OSError as error:
        where = error.filename or f"{site}, or the ledger that it shows,"
        message = f"{where} cannot be written: {error.strerror or error}"
        raise PublishError(message) from error
