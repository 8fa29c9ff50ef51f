"""Proposes what pip's index has and targets.toml lacks: official TensorFlows, as releases to paste. Writes nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from packaging.version import Version

from tfwheel.config import base_checks
from tfwheel.system import pip_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Line

OLDEST = Version("2.16")  # the first whose libraries are known here
# From the first that `build_config/ops/` supports.
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
RELEASE = """\
[[release]]
tensorflow = "{version}"
build = 1
pythons = [{pythons}]
lines = [{lines}]
"""
NOTHING = "The configuration has every official TensorFlow from {oldest} on that the index has."


def proposed(config: Config) -> str:
    """Return the releases that could be added, the newest first, in words for those that no line can be made of.

    Asks for versions and requirements; downloads no wheel. Candidates count if they are newer than each final version.
    Raises PackageIndexError if the index does not answer.
    """
    texts = []
    for project in sorted({line.base for line in config.lines.values() if line.builder == "overlay"}):
        lines = [line for line in config.lines.values() if (line.base, line.builder) == (project, "overlay")]
        for version, pythons in _lacking(config, project, lines).items():
            texts.append(_text(project, version, pythons, lines))
    return "\n".join(texts) or NOTHING.format(oldest=OLDEST)


def _lacking(config: Config, project: str, lines: Sequence[Line]) -> dict[str, list[str]]:
    """Return the versions of a project that no release builds, each with its Pythons, the newest first."""
    names = {line.name for line in lines}
    built = {one.tensorflow for one in config.releases if names.intersection(one.lines)}
    offered: dict[str, list[str]] = defaultdict(list)
    for python in PYTHONS:
        for version in pip_queries.versions(project, python=python, pre=True):
            offered[version].append(python)
    newest = max((Version(one) for one in offered if not Version(one).is_prerelease), default=OLDEST)
    wanted = [one for one in offered if one not in built and _counts(Version(one), newest)]
    return {one: offered[one] for one in sorted(wanted, key=Version, reverse=True)}


def _counts(version: Version, newest: Version) -> bool:
    """Return whether a version is a final one from OLDEST on, or a candidate of the next."""
    return version >= OLDEST and not version.is_devrelease and (not version.is_prerelease or version > newest)


def _text(project: str, version: str, pythons: Sequence[str], lines: Sequence[Line]) -> str:
    requires = pip_queries.requirements({project: version}, python=pythons[-1]).get(project, ())
    cuda = base_checks.cuda_in(requires)
    fitting = [line.name for line in lines if _fits(line, cuda)]
    if not fitting:
        built = f"is built with CUDA {'.'.join(map(str, cuda))}" if cuda else "says no CUDA version"
        return f"# {project} {version} {built}; no line starts from such a wheel\n"
    return f"# {project} {version}\n" + RELEASE.format(
        version=version, pythons=_quoted(pythons), lines=_quoted(fitting)
    )


def _fits(line: Line, cuda: tuple[int, ...] | None) -> bool:
    """Return whether a line is for that CUDA; one without CUDA is for all: tensorflow-cpu names it, too."""
    return line.cuda is None or Version(line.cuda).release[:2] == cuda


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
