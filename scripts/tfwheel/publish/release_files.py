"""Collects what is released in one folder: the very wheels that were built and tested, and all that goes with them."""

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
    """Where built wheels are: folders named after targets below ``root``, or below its artifacts of a run.

    ``wheels`` and ``reports`` are patterns for what is between: a run has an artifact per target with wheel and
    record, and one with the record as the GPU job left it.
    """

    root: Path
    wheels: str = ""
    reports: str | None = None

    @classmethod
    def below(cls, dist: Path) -> Source:
        """The artifacts of a run, where they were downloaded to ``dist/run``; otherwise what was built here."""
        downloaded = dist / "run"
        if downloaded.is_dir():
            return cls(root=downloaded, wheels="wheel-*/", reports="gpu-*/")
        return cls(root=dist / "wheels")

    def found(self, folder: str) -> list[Path]:
        """Every copy of the wheels in a folder of that name."""
        return sorted(self.root.glob(f"{self.wheels}{folder}/*.whl"))

    def found_reports(self, folder: str) -> list[Path]:
        """The records of that folder which GPU jobs left."""
        if self.reports is None:
            return []
        return sorted(self.root.glob(f"{self.reports}{folder}/*{records.SUFFIX}"))


@dataclass(frozen=True, kw_only=True)
class BuiltWheel:
    """A wheel that was built, and its record, in which the GPU job's part is."""

    wheel: Path
    record: Record


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A folder that holds exactly what is released; ``sums`` has the sha256 of each file, SHA256SUMS included."""

    folder: Path
    sums: dict[str, str]

    @property
    def wheels(self) -> tuple[Path, ...]:
        """The wheels, by name."""
        return tuple(self.folder / name for name in self.sums if name.endswith(".whl"))


def built(folders: Iterable[str], source: Source, *, version: str) -> list[BuiltWheel]:
    """The wheel of each folder, after every check that its record allows.

    Raises WheelMissingError for a folder without a wheel of that version, and WheelChangedError for one that is not
    what its record says, or of which there are several that differ.
    """
    return [_built(folder, source, version) for folder in folders]


def check_sources(wheels: Iterable[BuiltWheel], *, commit: str, rehearsed: bool) -> None:
    """WheelChangedError for a wheel that was built from another commit, or from uncommitted changes.

    A rehearsal says so and goes on.
    """
    for one in wheels:
        if one.record.source_commit != commit:
            problem = f"{one.wheel.name} was built from `{one.record.source_commit}`, not from commit {commit}"
            if not rehearsed:
                raise WheelChangedError(problem)
            console.say(f"  {problem}: a release would stop here")


def stage(wheels: Iterable[BuiltWheel], into: Path) -> Staged:
    """Put wheels, sidecars, records, SBOMs, provenance and checksums into a folder, and nothing else.

    Raises IndexEntryError for a wheel that may not be listed, and BadWheelError for one that `twine check --strict`
    refuses. It may be done again, also over what a kill left.
    """
    wheels = list(wheels)
    for one in wheels:
        reason = listing_rules.publishable(one.record)
        if reason:
            message = f"{one.wheel.name} may not be released: {reason}"
            raise IndexEntryError(message)
    _twine_check([one.wheel for one in wheels])
    into.mkdir(parents=True, exist_ok=True)
    (into / SUMS).unlink(missing_ok=True)  # it is written last: without it the folder is not whole
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
    """What is released beside a wheel, by name: its METADATA, its record, its SBOM, and its provenance."""
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
    """What was staged; WheelMissingError where nothing was, WheelChangedError where it is not what it was then."""
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
        message = f"{folder} is not what was staged: {', '.join(wrong)}"
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
    """One copy of a wheel, which must be what its record says."""
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
        message = f"{wheel} is not what was built: its record says otherwise ({'; '.join(wrong)})"
        raise WheelChangedError(message)
    return BuiltWheel(wheel=wheel, record=record)


def _twine_check(wheels: list[Path]) -> None:
    try:
        run([sys.executable, "-m", "twine", "--no-color", "check", "--strict", *wheels])
    except CommandError as error:
        message = f"twine refuses a wheel: {error.output.strip() or error.message}"
        raise BadWheelError(message, remedy="Correct what makes the wheel's METADATA, and build it again.") from error


def _link(wheel: Path, target: Path) -> None:
    """The same bytes under a second name; a copy where the file system gives no second names."""
    fresh = target.with_name(f".{target.name}")
    fresh.unlink(missing_ok=True)
    with suppress(OSError):
        os.link(wheel, fresh)
    if not fresh.exists():
        shutil.copyfile(wheel, fresh)
    fresh.replace(target)
    fresh.unlink(missing_ok=True)  # replacing a name by another of the same file leaves both
