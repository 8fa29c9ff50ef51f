"""All checks of a publication; they come before its first write, and a dry run makes them too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from tfwheel.config import inputs
from tfwheel.config.errors import SelectionError
from tfwheel.errors import PublishError, UsageError
from tfwheel.index import atomic_tree, ledger, listing_rules, published_versions, site
from tfwheel.index.atomic_tree import Part
from tfwheel.index.ledger import Ledger
from tfwheel.publish import addresses, colab_gate, dependency_confusion, verify
from tfwheel.publish.errors import ForeignWheelError
from tfwheel.system import console, files
from tfwheel.wheel import metadata, records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.index.ledger_entry import LedgerEntry
    from tfwheel.publish.publication import Publication
    from tfwheel.publish.stores import Store
    from tfwheel.wheel.records import Record


Renderer = Callable[[Ledger], Mapping[str, Part]]


def renderer(job: Publication) -> Renderer:
    """Return a function that gives the parts of the site for a ledger, and renders nothing twice."""
    rendered: dict[bytes, dict[str, Part]] = {}

    def parts(known: Ledger) -> dict[str, Part]:
        if known.data not in rendered:
            made = site.parts(known, job.content)
            rendered[known.data] = {name: Part(key=part.key, make=cache(part.make)) for name, part in made.items()}
        return rendered[known.data]

    return parts


def check(
    job: Publication, render: Renderer, *, on_step: Callable[[str], object] = console.detail
) -> tuple[LedgerEntry, ...]:
    """Check a publication, write nothing, and return the ledger entries of its wheels.

    Raises UsageError, BadWheelError, IndexEntryError, ForeignWheelError, ColabFitError, NameTakenError,
    LedgerDamagedError, UnclaimedNameError, the errors of rendering the pages, SiteError and PublishError for a folder
    that cannot be written.
    """
    on_step("check")
    if job.address is not None:
        addresses.check_folder(job.address, option="--base-url")
    _check_installs(job)
    entries = tuple(_entries(job))
    future = ledger.grown(ledger.read(job.ledger), entries)
    for entry in entries:
        published_versions.check(
            future.entries, version=entry.version, inputs=entry.inputs, target=entry.target, ledger=str(job.ledger)
        )
        missing(job.store, entry)
    if job.content:
        colab_gate.check(entries, job.content.settings)
    _check_site(job, future, render)
    if job.content and job.guarded and job.wheels:
        on_step("guard")
        dependency_confusion.check_wheels(job.wheels, job.content.settings.index)
    return entries


def missing(store: Store, entry: LedgerEntry) -> list[str]:
    """Return those of an entry's two files that the store does not have yet; NameTakenError for other bytes there."""
    wanted = {entry.file + metadata.SIDECAR: entry.metadata_sha256, entry.file: entry.sha256}
    return [name for name, digest in wanted.items() if not store.holds(name, sha256=digest)]


def _check_installs(job: Publication) -> None:
    unknown = set(job.installs) - {wheel.name for wheel in job.wheels}
    if unknown:
        message = f"{', '.join(sorted(unknown))} cannot be installed: not among the wheels that are published"
        remedy = "Name one of the wheels, without its folder; `nox -s verify-index` installs what was published before."
        raise UsageError(message, remedy=remedy)


def _entries(job: Publication) -> Iterator[LedgerEntry]:
    """Yield the entry of each wheel; a second copy of the same file is left out."""
    seen: dict[str, LedgerEntry] = {}
    for wheel in job.wheels:
        record = records.beside(wheel)
        entry = listing_rules.entry_from(wheel, record, url=job.store.url(wheel.name), uploaded=job.uploaded)
        if job.content:
            _check_configured(wheel, record, entry, job.content.settings)
        if seen.setdefault(entry.file, entry) == entry and seen[entry.file] is not entry:
            continue
        if wheel.name in job.installs:
            verify.interpreter_for(wheel.name)
        yield entry


def _check_configured(wheel: Path, record: Record, entry: LedgerEntry, settings: Config) -> None:
    """Raise ForeignWheelError unless a wheel is what the settings would build now."""
    try:
        target = inputs.target_of(settings, record.target)
    except SelectionError as error:
        message = f"{wheel} is not of this configuration: {error.message}"
        raise ForeignWheelError(message, remedy=f"Name the wheels to publish, or delete {wheel.parent}.") from error
    tag = min(tag.interpreter for tag in parse_wheel_filename(wheel.name)[3])
    facts = {
        "version": (entry.version, target.version),
        "line": (entry.line, target.line.name),
        "Python": (tag if tag != "py3" else target.python_tag, target.python_tag),
    }
    wrong = [
        f"its {name} is {found}, where {target.id} has {wanted}"
        for name, (found, wanted) in facts.items()
        if found != wanted
    ]
    if not wrong and record.inputs != inputs.digest(settings, target):
        wrong = [f"it was built from other {published_versions.INPUTS} than {settings.directory} has now"]
    if wrong:
        message = f"{wheel} is not of this configuration: {'; '.join(wrong)}"
        raise ForeignWheelError(message)


def _check_site(job: Publication, future: Ledger, render: Renderer) -> None:
    """Render what will be shown, and look whether it can be written."""
    for part in atomic_tree.pending(job.site, render(future)).values():
        part.make()
    if job.wheels:
        job.store.check()
    for path in (job.site, job.ledger):
        if reason := files.why_unwritable(path.parent):
            message = f"{path} cannot be written: {reason}"
            raise PublishError(message, remedy="Name another place, or make it a folder that you can write.")
