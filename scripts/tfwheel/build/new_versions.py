"""Proposes releases for ``targets.toml``: versions on pip's index that it lacks; downloads and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version
from pydantic import TypeAdapter, ValidationError

from tfwheel.colab import drift
from tfwheel.config import base_checks, field_types
from tfwheel.index import runtime_watch
from tfwheel.system import console, pip_queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Line

# From the oldest of TensorFlow 2.16, the oldest that is built on, to one that no TensorFlow has yet.
PYTHONS = tuple(f"3.{minor}" for minor in range(9, 16))
ALLOWED: TypeAdapter[str] = TypeAdapter(field_types.Version)
HEAD = """\
# TensorFlow on pip's index that targets.toml lacks, as text to paste there. Nothing was written, no wheel downloaded.
# Its lines are those that can be made of it as far as requirements tell; `nox -s update-pins` reads GPU code and XLA.
"""
NONE = "# targets.toml has every TensorFlow on pip's index, from the oldest of it on. Nothing was written.\n"


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A version that is not built, the Pythons of each line that it can be built on, and why others cannot."""

    version: str
    lines: Mapping[str, tuple[str, ...]]
    refused: Mapping[str, str]

    @property
    def text(self) -> str:
        """A ``[[release]]`` for each set of Pythons, for ``targets.toml``; the rest as comments."""
        by_pythons: dict[tuple[str, ...], list[str]] = {}
        for line, pythons in self.lines.items():
            by_pythons.setdefault(pythons, []).append(line)
        tables = [
            f'[[release]]\ntensorflow = "{self.version}"\nbuild = 1\n'
            f"pythons = {_list(pythons)}\nlines = {_list(lines)}\n"
            for pythons, lines in by_pythons.items()
        ]
        none = "" if tables else ": no line can be made of it"
        reasons = [f"#   {line}: {reason}\n" for line, reason in self.refused.items()]
        return "".join([f"# TensorFlow {self.version}{none}\n", *reasons, "\n".join(tables)])


def propose(config: Config) -> str:
    """Return what to add to ``targets.toml``, the newest version first, and what is new under reserved names.

    Versions older than the oldest there, candidates with a final version, nightly builds and yanked versions are left
    out. Raises PackageIndexError when the index did not answer.
    """
    lines = [line for line in config.lines.values() if line.builder != "source"]
    with console.step("ask pip's index which versions there are"):
        offered = {project: _offered(project) for project in sorted({line.base for line in lines})}
        reserved = drift.on_reserved_names(config, PYTHONS)
    wanted = _lacking(offered, {release.tensorflow for release in config.releases})
    with console.step(f"ask pip's index what {len(wanted)} of them require"):
        found = [_proposed(version, lines, offered) for version in wanted]
    names = [f"# {name} {', '.join(new)}: {runtime_watch.advice(name)}\n" for name, new in reserved.items()]
    return "\n".join([HEAD if found else NONE, *(one.text for one in found), *(["".join(names)] if names else [])])


def _offered(project: str) -> dict[str, tuple[str, ...]]:
    """Return the Pythons of each version of a project that the configuration can name."""
    found: dict[str, list[str]] = {}
    for python in PYTHONS:
        for version in filter(_is_allowed, pip_queries.versions(project, python=python, unfinished=True)):
            found.setdefault(version, []).append(python)
    return {version: tuple(pythons) for version, pythons in found.items()}


def _is_allowed(version: str) -> bool:
    try:
        ALLOWED.validate_python(version)
    except ValidationError:
        return False
    return True


def _lacking(offered: Mapping[str, Mapping[str, object]], there: set[str]) -> list[str]:
    """Return the versions that are not there, the newest first, from the oldest there on."""
    oldest = min(map(Version, there))
    found = {version for versions in offered.values() for version in versions}
    finals = {Version(version) for version in found | there if not Version(version).is_prerelease}
    new = {
        version
        for version in found - there
        if Version(version) > oldest
        and (Version(version) in finals or Version(Version(version).base_version) not in finals)
    }
    return sorted(new, key=Version, reverse=True)


def _proposed(version: str, lines: Iterable[Line], offered: Mapping[str, Mapping[str, tuple[str, ...]]]) -> Proposed:
    """Look at what a version requires, and say what it can become."""
    built = {}
    for project, versions in offered.items():
        if version in versions:
            found = pip_queries.requirements({project: version}, python=versions[version][-1])
            built[project] = base_checks.cuda_of(found.get(project, ()))
    refused = dict(_refused(lines, built))
    good = {line.name: offered[line.base][version] for line in lines if line.name not in refused}
    return Proposed(version=version, lines=good, refused=refused)


def _refused(lines: Iterable[Line], built: Mapping[str, tuple[int, ...] | None]) -> Iterator[tuple[str, str]]:
    """Yield each line that cannot be made of a version, or of which that is not known, and why."""
    for line in lines:
        cuda = built.get(line.base)
        if line.base not in built:
            yield line.name, f"{line.base} has no wheel of it"
        elif line.cuda and cuda is None:
            yield line.name, f"{line.base} does not say with which CUDA version it was built"
        elif not base_checks.fits_cuda(line, cuda):
            words = ".".join(map(str, cuda or ()))
            yield line.name, f"{line.base} was built with CUDA {words}, and the line has {line.cuda}"


def _list(words: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"
