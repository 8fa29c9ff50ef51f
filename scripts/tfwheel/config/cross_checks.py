"""Check what several files of ``build_config/`` must agree on; each check raises ConfigError, before any work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from tfwheel.config import base_checks, xla_data
from tfwheel.config.errors import ConfigError
from tfwheel.config.targets import SESSIONS, TENSORFLOW, session_of
from tfwheel.config.toml_files import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.schema import BaseEntry, CompanionEntry, ReleaseEntry, TargetsFile
    from tfwheel.config.targets import Base, Line

CUDA_OF_LABEL = re.compile(r"cu\d{3}")  # major and minor: cu125, cu130, cu125t4
CUDA_OF_NAME = re.compile(r"cu(1[2-9])")


def labels(lines: Mapping[str, Line], path: Path) -> None:
    """Check that each line has a label of its own: two lines with one label would give their wheels one file name."""
    by_label: dict[str, str] = {}
    for name, line in lines.items():
        other = by_label.setdefault(line.label, name)
        if other != name:
            message = (
                f"{path}: `{other}` and `{name}` have the same label, `{line.label}`, which is part of the version"
            )
            raise ConfigError(
                message, remedy=f"Give `{name}` a label of its own: wheels of both would have one file name."
            )


def cuda(lines: Mapping[str, Line], path: Path) -> None:
    """Check that what a line is called names its CUDA: its label is in versions, its name chooses the session."""
    for name, line in lines.items():
        major, minor = (line.cuda or "none.").split(".")[:2]
        said = CUDA_OF_LABEL.match(line.label)
        if said and said[0] != f"cu{major}{minor}":
            message = f"{path}: `{name}.label` is {line.label}, and its `cuda` is {line.cuda or 'none'}"
            raise ConfigError(message, remedy=f"Begin the label with cu{major}{minor}, or correct `cuda`.")
        of_name = CUDA_OF_NAME.match(name)
        if of_name and line.cuda and of_name[1] != major:
            message = f"{path}: the line `{name}` is built as CUDA {of_name[1]}, and its `cuda` is {line.cuda}"
            raise ConfigError(message, remedy=f"Begin its name with cu{major}, or correct `cuda`.")


def names(targets: TargetsFile, lines: Mapping[str, Line], path: Path) -> None:
    """Check that every line named in targets.toml exists, and that every exclusion removes something."""
    combinations = {
        (release.tensorflow, python, line)
        for release in targets.release
        for python in release.pythons
        for line in release.lines
    }
    for release in targets.release:
        for line in release.lines:
            if line not in lines:
                message = (
                    f"{path}: TensorFlow {release.tensorflow} names the line `{line}`; {nearest(line, list(lines))}"
                )
                raise ConfigError(message)
            if session_of(line) is None and lines[line].builder != "source":
                known = ", ".join(SESSIONS)
                message = f"{path}: no nox session builds the line `{line}`: its name begins with none of {known}"
                raise ConfigError(message, remedy="Rename the line, for example `cu12slim`.")
    for exclusion in targets.exclude:
        if (exclusion.tensorflow, exclusion.python, exclusion.line) not in combinations:
            message = (
                f"{path}: the exclusion of TensorFlow {exclusion.tensorflow}, Python {exclusion.python}, "
                f"line {exclusion.line} matches nothing that a release names"
            )
            raise ConfigError(message)


def thin(targets: TargetsFile, lines: Mapping[str, Line], path: Path) -> None:
    """Check that no thin wheel has GPU code for a base of another name than `tensorflow`, which it requires."""
    for release in targets.release:
        for line in (lines[name] for name in release.lines):
            if (release.builder or line.builder) == "ops" and line.cuda and line.base != TENSORFLOW:
                message = (
                    f"{path}: TensorFlow {release.tensorflow} on the line `{line.name}` is the thin wheel with the "
                    f"ops, which requires `{TENSORFLOW}`: pip would install that, and not {line.base}, whose CUDA the "
                    "line has"
                )
                raise ConfigError(message, remedy='Take `builder = "overlay"`, which needs no other wheel.')


def patches(targets: TargetsFile, folder: Path) -> None:
    """Check that each folder of patches is for a TensorFlow version that is built: a misspelt one would do nothing."""
    versions = [release.tensorflow for release in targets.release]
    try:
        found = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        message = f"{folder} cannot be read: {error.strerror}"
        raise ConfigError(message, remedy="It must be a folder that you may read.") from error
    for path in found:
        if path.name not in versions:
            message = f"{path}: targets.toml builds no TensorFlow {path.name}; {nearest(path.name, versions)}"
            raise ConfigError(message, remedy="Name the folder after the version that its patches are for.")
        if not path.is_dir():
            message = f"{path} is not a folder"
            raise ConfigError(message, remedy="Make it a folder with the `*.patch` files of that version.")


def xla(targets: TargetsFile, lines: Mapping[str, Line], directory: Path) -> None:
    """Check that all lines of a release ask the same of XLA, and that what is known of it can be read.

    Where it is not known how to do what they ask, the target counts as not locked: ``plan.locked``.
    """
    asked: dict[str, Line] = {}
    for release, line in _overlays(targets, lines):
        wanted = line.retarget.xla if line.retarget else None
        if not wanted:
            continue
        xla_data.find(directory / "xla", release.tensorflow)
        other = asked.setdefault(release.tensorflow, line)
        if other.retarget and other.retarget.xla != wanted:
            message = (
                f"{directory / 'lines.toml'}: for TensorFlow {release.tensorflow}, `{line.name}.retarget.xla` is "
                f"{wanted}, and `{other.name}.retarget.xla` is {other.retarget.xla}"
            )
            raise ConfigError(message, remedy="Ask for the same in both: the file of xla/ is one for each version.")


def bases(entries: Sequence[BaseEntry], path: Path) -> None:
    """Check that each lock is of the file it names, and that no wheel is locked twice."""
    seen: set[tuple[str, str, str]] = set()
    for number, entry in enumerate(entries):
        key = (entry.project, entry.version, entry.python)
        if key in seen:
            message = f"{path}: {entry.project} {entry.version} for Python {entry.python} is locked twice"
            raise ConfigError(message, remedy="Delete one of both, or the whole file and run `nox -s update-pins`.")
        seen.add(key)
        try:
            name, version, _, tags = parse_wheel_filename(entry.file)
        except InvalidWheelFilename as error:
            message = f"{path}: `base[{number}].file`: {error}"
            raise ConfigError(message) from error
        tag = "cp" + entry.python.replace(".", "")
        if (name, str(version)) != key[:2] or {one.interpreter for one in tags} != {tag}:
            message = (
                f"{path}: `base[{number}].file` is {entry.file}, which is not {entry.project} {entry.version} "
                f"for Python {entry.python}"
            )
            raise ConfigError(message, remedy="Delete that entry, and run `nox -s update-pins`, which writes it.")


def companions(entries: Sequence[CompanionEntry], path: Path) -> None:
    """Check that no project is a companion twice, and that the requirement of each is for the project itself."""
    for number, entry in enumerate(entries):
        if entry.project in {other.project for other in entries[:number]}:
            message = f"{path}: {entry.project} is a companion twice"
            raise ConfigError(message, remedy="Delete one of both.")
        wanted = Requirement(entry.requirements("2.20.0")[0]).name
        if canonicalize_name(wanted) != entry.project:
            message = f"{path}: `companion[{number}].requirement` is for {wanted}, not for {entry.project}"
            raise ConfigError(message, remedy="Write what else is needed into `beside`.")


def official(targets: TargetsFile, lines: Mapping[str, Line], locked: Sequence[Base], path: Path) -> None:
    """Check that each line can be made of every official wheel that is locked for it."""
    for release, line in _overlays(targets, lines):
        for base in locked:
            if (base.project, base.version) == (line.base, release.tensorflow) and base.python in release.pythons:
                base_checks.check(line, base, path)


def requirements(targets: TargetsFile, lines: Mapping[str, Line], locked: Sequence[Base], path: Path) -> None:
    """Check that each requirement of a release leaves no other one of that name standing beside it."""
    for number, release in enumerate(targets.release):
        _check_twins(release, f"{path}: `release[{number}].requires`")
    for release, line in _overlays(targets, lines):
        for base in locked:
            if (base.project, base.version) == (line.base, release.tensorflow) and base.python in release.pythons:
                _check_beside(release, base, path)


def _check_twins(release: ReleaseEntry, place: str) -> None:
    """Raise ConfigError for two requirements of one name that could both apply, as far as their markers tell."""
    by_name: dict[str, list[Requirement]] = {}
    for one in map(Requirement, release.requires):
        by_name.setdefault(canonicalize_name(one.name), []).append(one)
    for name, found in by_name.items():
        markers = [str(one.marker or "") for one in found]
        if len(found) > 1 and ("" in markers or len(set(markers)) < len(markers)):
            message = f"{place} names `{name}` {len(found)} times: {'; '.join(map(str, found))}"
            raise ConfigError(
                message, remedy="Join them, as in `protobuf>=5.28,<6`, or give each another marker (`; ...`)."
            )


def _check_beside(release: ReleaseEntry, base: Base, path: Path) -> None:
    """Raise ConfigError for a requirement of an extra whose official twin holds without the extra, and so stays."""
    ours = [Requirement(one) for one in release.requires]
    whole = {canonicalize_name(one.name) for one in ours if "extra" not in str(one.marker or "")}
    for official in map(Requirement, base.requires_dist):
        name = canonicalize_name(official.name)
        if name in whole or "extra" in str(official.marker or ""):
            continue
        if beside := [one for one in ours if canonicalize_name(one.name) == name]:
            message = (
                f"{path}: TensorFlow {release.tensorflow} has the requirement `{beside[0]}` for an extra, and the "
                f"official `{official}`, which needs no extra, would stay beside it"
            )
            raise ConfigError(message, remedy=f"Write `{name}...` without `extra`: it replaces the official one.")


def _overlays(targets: TargetsFile, lines: Mapping[str, Line]) -> Iterator[tuple[ReleaseEntry, Line]]:
    """Yield each release with each of its lines that changes an official wheel."""
    for release in targets.release:
        for name in release.lines:
            if (release.builder or lines[name].builder) == "overlay":
                yield release, lines[name]
