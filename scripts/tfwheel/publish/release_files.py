"""Collects the files of a release in one folder: the wheels that were built and tested, and their attachments."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.errors import BadWheelError
from tfwheel.index import listing_rules
from tfwheel.index.errors import WheelMissingError
from tfwheel.publish.errors import WheelChangedError
from tfwheel.system import console, files
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel import metadata, provenance, records, sbom
from tfwheel.wheel.errors import IndexEntryError
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tfwheel.wheel.records import Record

SUMS = "SHA256SUMS"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where built wheels are: folders named after targets, below ``root`` or below the artifacts of a run there.

    ``wheels`` and ``reports`` are patterns for the folders between: a run has one artifact per target with wheel and
    record, and one with the record from each job that smoke-tested it.
    """

    root: Path
    wheels: str = ""
    reports: tuple[str, ...] = ()

    @classmethod
    def below(cls, dist: Path) -> Source:
        """Use the artifacts of a run if they were downloaded to ``dist/run``, else the wheels built here."""
        downloaded = dist / "run"
        if downloaded.is_dir():
            return cls(root=downloaded, wheels="wheel-*/", reports=("smoke-*/", "gpu-*/"))
        return cls(root=dist / "wheels")

    def found(self, folder: str) -> list[Path]:
        """Return all wheels in folders of that name."""
        return sorted(self.root.glob(f"{self.wheels}{folder}/*.whl"))

    def found_reports(self, folder: str) -> list[Path]:
        """Return the records of that folder from smoke-test jobs."""
        patterns = [f"{between}{folder}/*{records.SUFFIX}" for between in self.reports]
        return sorted(path for pattern in patterns for path in self.root.glob(pattern))


@dataclass(frozen=True, kw_only=True)
class BuiltWheel:
    """A built wheel and its record, joined with the reports of its smoke-test jobs."""

    wheel: Path
    record: Record


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A folder with exactly the files of a release; ``sums`` has the sha256 of each file, SHA256SUMS included."""

    folder: Path
    sums: dict[str, str]

    @property
    def wheels(self) -> tuple[Path, ...]:
        """The wheels, by name."""
        return tuple(self.folder / name for name in self.sums if name.endswith(".whl"))


def built(folders: Iterable[str], source: Source, *, version: str) -> list[BuiltWheel]:
    """Return the wheel of each folder, checked against its record.

    Raises WheelMissingError for a folder without a wheel of that version, and WheelChangedError for a wheel that does
    not match its record, or that has different copies.
    """
    return [_built(folder, source, version) for folder in folders]


def check_sources(wheels: Iterable[BuiltWheel], *, commit: str, rehearsed: bool) -> None:
    """Raise WheelChangedError for a wheel that was built from another commit, or from uncommitted changes.

    With ``rehearsed`` this is only reported.
    """
    for one in wheels:
        if one.record.source_commit != commit:
            problem = f"{one.wheel.name} was built from `{one.record.source_commit}`, not from commit {commit}"
            if not rehearsed:
                remedy = (
                    "Download the artifacts of this commit's run, or build it from a clean checkout of this commit."
                )
                raise WheelChangedError(problem, remedy=remedy)
            console.say(f"  {problem}: a release would stop here")


def stage(wheels: Iterable[BuiltWheel], into: Path) -> Staged:
    """Put wheels, sidecars, records, SBOMs, provenance and checksums into a folder, and delete all other files.

    Raises IndexEntryError for a wheel that may not be listed, and BadWheelError for one that fails
    `twine check --strict`. Can be repeated, also after a kill.
    """
    wheels = list(wheels)
    for one in wheels:
        reason = listing_rules.publishable(one.record)
        if reason:
            message = f"{one.wheel.name} may not be released: {reason}"
            raise IndexEntryError(message)
    _twine_check([one.wheel for one in wheels])
    into.mkdir(parents=True, exist_ok=True)
    (into / SUMS).unlink(missing_ok=True)  # it is written last: without it the folder is incomplete
    names = {SUMS}
    for one in wheels:
        _link(one.wheel, into / one.wheel.name)
        beside = attachments(one)
        for name, data in beside.items():
            files.write_atomically(into / name, data)
        names |= {one.wheel.name, *beside}
    for path in into.iterdir():
        if path.name not in names:
            path.unlink()
    text = provenance.checksums(path for path in into.iterdir())
    files.write_atomically(into / SUMS, text.encode())
    return load(into)


def attachments(one: BuiltWheel) -> Mapping[str, bytes]:
    """Return the files released beside a wheel, by name: its METADATA, record, SBOM and provenance."""
    with WheelReader(one.wheel) as reader:
        document = sbom.read(reader)
    file, record = one.wheel.name, one.record
    return {
        file + metadata.SIDECAR: metadata.metadata_of(one.wheel),
        file + records.SUFFIX: records.written(record),
        file + sbom.SUFFIX: sbom.of_file(document, sha256=record.sha256),
        file + provenance.SUFFIX: provenance.statement(record),
    }


def load(folder: Path) -> Staged:
    """Read a staged folder; WheelMissingError if nothing is staged, WheelChangedError if a file changed since."""
    path = folder / SUMS
    if not path.exists():
        message = f"nothing is staged in {folder}: it has no {SUMS}"
        raise WheelMissingError(message, remedy="Run the step `stage` first (`--only stage`).")
    rows = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    sums = {name: digest for digest, name in rows}
    there = {file.name for file in folder.iterdir()} - {SUMS}
    changed = [name for name, digest in sums.items() if name in there and files.sha256_of(folder / name) != digest]
    wrong = sorted({*changed, *(there ^ sums.keys())})
    if wrong:
        message = f"{folder} changed since it was staged: {', '.join(wrong)}"
        raise WheelChangedError(message, remedy="Run the step `stage` again (`--only stage`).")
    return Staged(folder=folder, sums=dict(sorted({**sums, SUMS: files.sha256_of(path)}.items())))


# --- one wheel -------------------------------------------------------------------------------------------


def _built(folder: str, source: Source, version: str) -> BuiltWheel:
    copies = [_copy(wheel, folder) for wheel in source.found(folder)]
    there = [one for one in copies if one.record.version == version]
    if not there:
        others = ", ".join(sorted({one.record.version for one in copies}))
        message = f"{folder}: no wheel of {version} below {source.root}" + (f", only of {others}" if others else "")
        raise WheelMissingError(message, remedy=f"Build {folder}, or download all artifacts of the run, and run again.")
    first = there[0]
    for other in there[1:]:
        if other.record.sha256 != first.record.sha256 or other.wheel.name != first.wheel.name:
            message = f"two different wheels of {folder}: {first.wheel} and {other.wheel}"
            raise WheelChangedError(message)
    record = first.record
    for path in source.found_reports(folder):
        report = records.load(path)
        if report.sha256 != record.sha256:
            message = f"{path} is about other bytes than {first.wheel}"
            raise WheelChangedError(message)
        record = records.joined(record, report)
    return BuiltWheel(wheel=first.wheel, record=record)


def _copy(wheel: Path, folder: str) -> BuiltWheel:
    """Read one copy of a wheel and check it against its record."""
    path = records.path_for(wheel)
    if not path.exists():
        message = f"{wheel} has no record beside it"
        raise WheelChangedError(message)
    record = records.load(path)
    says = (record.target, record.file, record.size, record.sha256)
    found = (folder, wheel.name, wheel.stat().st_size, files.sha256_of(wheel))
    names = ("target", "name", "size", "sha256")
    wrong = [f"{name} {is_!r}, not {said!r}" for name, said, is_ in zip(names, says, found, strict=True) if said != is_]
    if wrong:
        message = f"{wheel} does not match its record: {'; '.join(wrong)}"
        raise WheelChangedError(message)
    return BuiltWheel(wheel=wheel, record=record)


def _twine_check(wheels: list[Path]) -> None:
    try:
        run([sys.executable, "-m", "twine", "--no-color", "check", "--strict", *wheels])
    except CommandError as error:
        message = f"twine rejects a wheel: {error.output.strip() or error.message}"
        raise BadWheelError(message, remedy="Correct the source of its METADATA, and build the wheel again.") from error


def _link(wheel: Path, target: Path) -> None:
    """Hard-link a wheel, or copy it if the file system has no hard links."""
    fresh = target.with_name(f".{target.name}")
    fresh.unlink(missing_ok=True)
    with suppress(OSError):
        os.link(wheel, fresh)
    if not fresh.exists():
        shutil.copyfile(wheel, fresh)
    fresh.replace(target)
    fresh.unlink(missing_ok=True)  # rename(2) keeps both names if they are links to the same file
