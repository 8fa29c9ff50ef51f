"""The index of this machine: updates ``dist/site/`` from the finished wheels and serves it."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from filelock import FileLock

from tfwheel.errors import BadWheelError
from tfwheel.index import atomic_tree, ledger, listing_rules, manifest, server, simple_pages, site
from tfwheel.index.atomic_tree import Part
from tfwheel.index.errors import LedgerDamagedError, WheelMissingError
from tfwheel.index.ledger import Ledger
from tfwheel.index.ledger_entry import LedgerEntry
from tfwheel.system import console, files, scratch
from tfwheel.wheel import metadata, records
from tfwheel.wheel.errors import IndexEntryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tfwheel.config.paths import Paths
    from tfwheel.index.site import SiteContent
    from tfwheel.wheel.records import Record


def update(paths: Paths, content: SiteContent | None = None) -> tuple[LedgerEntry, ...]:
    """Update this machine's ledger and site to exactly its listable wheels; returns the entries.

    Without ``content`` there are no pages for users.

    Safe to call from several processes at once. Nothing in this ledger is published, so a rebuilt wheel replaces its
    entry and a deleted wheel loses it; a message says so. Raises NameTakenError when two wheels have one file name;
    then nothing changes.
    """
    paths.site.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(paths.site.with_name(f".{paths.site.name}.lock")):
        known = _known(paths.ledger)
        found = list(_collect(paths.wheels, known))
        entries = tuple(sorted((entry for entry, _ in found), key=lambda entry: entry.place))
        if entries != known.entries:
            _report_changes(known, entries)
            known = ledger.write(paths.ledger, entries)
        wheels = {f"{entry.folder}/{entry.file}": _wheel_part(entry, wheel) for entry, wheel in found}
        atomic_tree.update(paths.site, site.parts(known, content) | wheels, seal=manifest.seal)
    return entries


def _known(path: Path) -> Ledger:
    try:
        return ledger.read(path)
    except LedgerDamagedError as error:
        console.warn(f"{error.message}; rebuilding it from the wheels")
        return Ledger()


def _collect(wheels: Path, known: Ledger) -> Iterator[tuple[LedgerEntry, Path]]:
    """Yield the listable wheels in ``<wheels>/<target id>/`` with their entries; warn about the others."""
    for path in sorted(wheels.glob(f"*/*{records.SUFFIX}")):
        try:
            record = records.load(path)
            wheel = path.with_name(record.file)
            yield _entry(wheel, record, known, uploaded=_stamp(path)), wheel
        except (BadWheelError, IndexEntryError) as error:
            console.warn(f"{error.message}; it is not in the index")


def _entry(wheel: Path, record: Record, known: Ledger, *, uploaded: str) -> LedgerEntry:
    """Return the known entry if neither wheel nor record changed (reading 600 MB takes a second), else a new one."""
    entry = known.by_file.get(record.file)
    same = entry and (entry.sha256, entry.uploaded, entry.target) == (record.sha256, uploaded, record.target)
    if listing_rules.publishable(record):  # it says why not
        same = False
    if entry and same and wheel.is_file() and wheel.stat().st_size == record.size:
        return entry
    return listing_rules.entry_from(wheel, record, url="", uploaded=uploaded)


def _report_changes(known: Ledger, entries: Sequence[LedgerEntry]) -> None:
    hashes = {entry.file: entry.sha256 for entry in entries}
    for entry in known.entries:
        if entry.file not in hashes:
            console.say(f"  {entry.file} is gone from this machine, and from its index")
        elif hashes[entry.file] != entry.sha256:
            console.say(f"  {entry.file} was rebuilt with other bytes: it replaces the one in this machine's index")


def _wheel_part(entry: LedgerEntry, wheel: Path) -> Part:
    """Return a wheel and its sidecar as a part of the tree, in the folder of their page."""
    facts, path = wheel.stat(), f"{entry.folder}/{entry.file}"
    return Part(
        key=f"{entry.sha256} {facts.st_dev} {facts.st_ino}",
        make=lambda: {path: wheel, f"{path}{metadata.SIDECAR}": metadata.metadata_of(wheel)},
    )


@contextmanager
def serve_alone(wheel: Path, *, line: str, workdir: Path, sha256: str | None = None) -> Iterator[str]:
    """Serve an index of one wheel, tested or not, while the block runs; yields the URL for ``--extra-index-url``.

    ``workdir`` is a scratch folder; on the wheel's own file system nothing is copied.
    """
    sidecar = metadata.metadata_of(wheel)
    facts = metadata.facts_of(wheel.name, sidecar)
    entry = LedgerEntry(
        project=facts.project,
        version=facts.version,
        file=wheel.name,
        line=line,
        url="",
        sha256=sha256 or files.sha256_of(wheel),
        size=wheel.stat().st_size,
        uploaded=_stamp(wheel),
        requires_python=facts.requires_python,
        metadata_sha256=hashlib.sha256(sidecar).hexdigest(),
        target=line,
    )
    with scratch.beside(workdir / "site") as folder:
        site = folder / "site"
        atomic_tree.update(site, simple_pages.parts([entry]) | {"wheel": _wheel_part(entry, wheel)})
        with server.serve(site) as address:
            yield f"{address}{line}/"


def offer(paths: Paths, content: SiteContent | None = None, *, port: int) -> None:
    """Serve all finished wheels until Ctrl-C and print how to install each; WheelMissingError if there is none."""
    entries = update(paths, content)
    if not entries:
        message = f"no wheel below {paths.wheels} has passed its smoke test"
        raise WheelMissingError(message)
    with server.serve(paths.site, port=port, log=console.say) as address:
        console.say(f"{paths.site} is at {address} (Ctrl-C ends it). To install:")
        for command in dict.fromkeys(install_command(entry, address) for entry in entries):
            console.say(f"  {command}")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            console.say("ended")


def install_command(entry: LedgerEntry, address: str) -> str:
    """Return the pip command that installs exactly this version from the index of its line."""
    return f'pip install --extra-index-url {address}{entry.line}/ "{entry.pin}"'


def _stamp(path: Path) -> str:
    """Return when a file was last written, in UTC as in PEP 700."""
    return f"{datetime.fromtimestamp(int(path.stat().st_mtime), UTC):%Y-%m-%dT%H:%M:%SZ}"
