"""Look up on the package index what ``distributions.json`` says: the one place of this room that asks anybody.

It looks up only what a judgement needs: every version that an installer looks at when one of the official TensorFlow
versions is installed into one of the runtimes, or into nothing, and the companions of ``surveyed.toml``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import Field

from tfwheel.colab import distributions, requirements, resolution
from tfwheel.colab.distributions import Distributions
from tfwheel.colab.resolution import Candidate
from tfwheel.colab.runtimes import Runtime
from tfwheel.config import field_types, schema, toml_files
from tfwheel.errors import BadWheelError
from tfwheel.system import console, pip, pip_queries, scratch
from tfwheel.wheel import gencode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

TENSORFLOW = "tensorflow"
OLDEST = Version("2.16")
PROTOBUF = "protobuf"
LARGE = set(distributions.OFFICIAL)  # their wheels are not fetched to look into them


class SurveyedFile(schema.Table):
    """``surveyed.toml``: the companions, by what they share with TensorFlow."""

    tensorflow: Annotated[list[field_types.Project], Field(min_length=1)]
    protobuf: list[field_types.Project] = Field(default_factory=list)
    numeric: list[field_types.Project] = Field(default_factory=list)


@dataclass
class Survey:
    """Data that grows while it is looked up; ``python`` are minor versions ("3.12")."""

    runtimes: Sequence[Runtime]
    versions: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    requires: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    gencode: dict[str, dict[str, str]] = field(default_factory=dict)
    extras: set[tuple[str, str]] = field(default_factory=set)

    @property
    def pythons(self) -> list[str]:
        """The Pythons of the runtimes."""
        return sorted({runtime.python_minor for runtime in self.runtimes}, key=Version)

    @property
    def data(self) -> Distributions:
        """The data so far; undated."""
        listed = {
            project: {
                version: " ".join(sorted(rows[version], key=int)) for version in distributions.newest_first(list(rows))
            }
            for project, rows in self.versions.items()
        }
        return Distributions(pythons=tuple(self.pythons), versions=listed, requires=self.requires, gencode=self.gencode)

    def dated(self, date: str) -> Distributions:
        """Return the data as it is written; requirements that nobody has are left out."""
        return msgspec.structs.replace(self.data, date=date, source="PyPI, read with pip", requires=_trimmed(self))

    def keep_versions(self, known: Distributions) -> None:
        """Add the versions that are known already."""
        for project, rows in known.versions.items():
            for version, minors in rows.items():
                self.versions.setdefault(project, {}).setdefault(version, set()).update(minors.split())

    def list_versions(self, projects: Iterable[str]) -> None:
        """Look up the versions of projects that are not listed yet, for each Python."""
        for project in sorted(set(projects) - self.versions.keys()):
            console.say(f"  versions of {project}")
            rows = self.versions.setdefault(project, {})
            for python in self.pythons:
                for version in pip_queries.versions(project, python=python):
                    rows.setdefault(version, set()).add(python.partition(".")[2])

    def read_requires(self, wanted: Iterable[tuple[str, str]], python: str) -> None:
        """Look up the requirements of exact versions; what has no wheel for the Python counts as unknown."""
        rest = {pair for pair in wanted if pair[1] not in self.requires.get(pair[0], {})}
        while rest:
            pins = dict(sorted(rest))  # one version of each project at a time
            console.say(f"  requirements of {len(pins)} distributions for Python {python}")
            for name, found in pip_queries.requirements(pins, python=python).items():
                self.requires.setdefault(name, {})[pins[name]] = found
            rest -= set(pins.items())


def run(folder: Path, runtimes: Sequence[Runtime], *, old: Distributions, date: str) -> Distributions:
    """Look up everything anew, except the gencode of what ``old`` has; raises DownloadError."""
    survey = Survey(runtimes=runtimes, gencode={name: dict(rows) for name, rows in old.gencode.items()})
    _look_up(survey, folder, [*runtimes, *(_empty(python) for python in survey.pythons)])
    return survey.dated(date)


def extended(folder: Path, runtime: Runtime, *, known: Distributions) -> Distributions:
    """Look up what ``known`` lacks for a runtime that is not stored yet, and keep the rest; raises DownloadError."""
    survey = Survey(
        runtimes=[runtime],
        requires={name: dict(rows) for name, rows in known.requires.items()},
        gencode={name: dict(rows) for name, rows in known.gencode.items()},
    )
    if runtime.python_minor in known.pythons:
        survey.keep_versions(known)
    _look_up(survey, folder, [runtime])
    survey.keep_versions(known)
    found = survey.dated(known.date)
    return msgspec.structs.replace(found, pythons=tuple(dict.fromkeys((*known.pythons, *found.pythons))))


def _look_up(survey: Survey, folder: Path, runtimes: Sequence[Runtime]) -> None:
    names = toml_files.read(folder / "surveyed.toml", SurveyedFile)
    companions = {*names.tensorflow, *names.protobuf, *names.numeric}
    survey.list_versions(distributions.OFFICIAL)
    for runtime in survey.runtimes:
        there = [pair for pair in runtime.installed.items() if pair[0] in companions]
        survey.read_requires(there, runtime.python_minor)
    for runtime in runtimes:
        _complete(survey, runtime)
    _read_gencode(survey)


def _complete(survey: Survey, runtime: Runtime) -> None:
    """Look up what the installation of each official version into a runtime needs, until nothing is unknown."""
    official = [
        version for version in survey.data.offered(TENSORFLOW, runtime.python_minor) or () if Version(version) >= OLDEST
    ]
    survey.read_requires([(TENSORFLOW, version) for version in official], runtime.python_minor)
    tried: set[tuple[str, str]] = set()
    while True:
        unread: set[tuple[str, str]] = set()
        known = survey.data
        reached: set[str] = set()
        for version in official:
            wheel = Candidate(name=TENSORFLOW, version=version, requires=survey.requires[TENSORFLOW].get(version, ()))
            outcome = resolution.resolve(wheel, runtime, known)
            unread |= set(outcome.unread)
            reached |= {*outcome.unknown, *(outcome.chosen or {})}
        fresh = reached - survey.versions.keys()
        if not fresh and not unread - tried:
            return
        survey.list_versions(fresh)
        survey.read_requires(unread - tried, runtime.python_minor)
        tried |= unread


def _empty(python: str) -> Runtime:
    return Runtime(name=f"empty-{python}", python=f"{python}.0", pins={}, direct=())


def _read_gencode(survey: Survey) -> None:
    """Read the gencode of every surveyed version that needs protobuf, from its wheel."""
    for project, version in sorted(_with_protobuf(survey)):
        if version in survey.gencode.get(project, {}):
            continue
        with scratch.folder("gencode") as folder:
            python = next(
                (one.python_minor for one in survey.runtimes if one.installed.get(project) == version),
                survey.pythons[-1],
            )
            console.say(f"  gencode of {project} {version}")
            wheel = pip.download_wheel(project=project, version=version, python=python, dest=folder)
            try:
                found = gencode.of_wheel(wheel)
            except BadWheelError as error:  # unknown stays unknown
                console.say(f"  {error.message}")
                continue
        survey.gencode.setdefault(project, {})[version] = found


def _with_protobuf(survey: Survey) -> Iterator[tuple[str, str]]:
    for project, rows in survey.requires.items():
        for version, requires in rows.items():
            asked = [one for runtime in survey.runtimes for one in requirements.applicable(requires, runtime.python)]
            if project not in LARGE and any(canonicalize_name(one.name) == PROTOBUF for one in asked):
                yield project, version


def _trimmed(survey: Survey) -> dict[str, dict[str, tuple[str, ...]]]:
    """Leave out the requirements of extras that nobody asks for, and of other systems."""
    asked = {
        (canonicalize_name(one.name), extra)
        for rows in survey.requires.values()
        for requires in rows.values()
        for text in requires
        if (one := requirements.parsed(text))
        for extra in one.extras
    }
    return {
        project: {
            version: tuple(
                text
                for text in rows[version]
                if _holds_somewhere(text, survey, {extra for name, extra in asked if name == project})
            )
            for version in distributions.newest_first(list(rows))
        }
        for project, rows in survey.requires.items()
    }


def _holds_somewhere(text: str, survey: Survey, extras: set[str]) -> bool:
    return any(requirements.applicable([text], runtime.python, extras) for runtime in survey.runtimes)
