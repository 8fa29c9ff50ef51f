"""Read ``build_config/`` into the project's types and check all of it before any work starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfwheel.config import cross_checks, ops_projects
from tfwheel.config.errors import ConfigError
from tfwheel.config.field_types import LineName
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.config.schema import (
    BaseEntry,
    BasesFile,
    CompanionEntry,
    CompanionsFile,
    ExclusionEntry,
    IndexSettings,
    LineEntry,
    ReleaseEntry,
    RepairFile,
    Retarget,
    TargetsFile,
    WatchedEntry,
    WatchedFile,
)
from tfwheel.config.targets import RESERVED, Base, Line, RepairRules
from tfwheel.config.toml_files import nearest, read

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.ops_projects import OpsProject

OF_PYPI = "12."  # the CUDA versions whose parts on PyPI make a compiler here: clang, and libnvfatbin.so.12


@dataclass(frozen=True, kw_only=True)
class Config:
    """The checked contents of ``build_config/``."""

    directory: Path
    releases: tuple[ReleaseEntry, ...]
    exclusions: tuple[ExclusionEntry, ...]
    lines: dict[str, Line]
    bases: tuple[Base, ...]
    repair: RepairRules
    ops: tuple[OpsProject, ...] = ops_projects.USUAL
    index: IndexSettings = field(default_factory=IndexSettings)
    companions: tuple[CompanionEntry, ...] = ()
    watched: tuple[WatchedEntry, ...] = ()


def load(directory: Path = CONFIG_DIR) -> Config:
    """Read and check every file of the folder; raise ConfigError with file, key and remedy of the first fault."""
    targets = read(directory / "targets.toml", TargetsFile)
    entries = read(directory / "lines.toml", dict[LineName, LineEntry])
    bases = read(directory / "bases.toml", BasesFile) if (directory / "bases.toml").exists() else BasesFile()
    repair = read(directory / "repair.toml", RepairFile)
    projects = ops_projects.load(directory)
    index = read(directory / "index.toml", IndexSettings) if (directory / "index.toml").exists() else IndexSettings()
    beside = directory / "companions.toml"
    companions = read(beside, CompanionsFile) if beside.exists() else CompanionsFile()
    watched = read(directory / "watched.toml", WatchedFile) if (directory / "watched.toml").exists() else WatchedFile()
    lines = {name: _line(name, entry, directory / "lines.toml") for name, entry in entries.items()}
    locked = tuple(_base(entry) for entry in bases.base)
    cross_checks.labels(lines, directory / "lines.toml")
    cross_checks.cuda(lines, directory / "lines.toml")
    cross_checks.names(targets, lines, directory / "targets.toml")
    cross_checks.thin(targets, lines, directory / "targets.toml")
    cross_checks.patches(targets, directory / "patches")
    cross_checks.xla(targets, lines, directory)
    cross_checks.bases(bases.base, directory / "bases.toml")
    cross_checks.official(targets, lines, locked, directory / "lines.toml")
    cross_checks.requirements(targets, lines, locked, directory / "targets.toml")
    cross_checks.companions(companions.companion, beside)
    return Config(
        directory=directory,
        releases=tuple(targets.release),
        exclusions=tuple(targets.exclude),
        lines=lines,
        bases=locked,
        repair=RepairRules(
            ceiling=repair.ceiling,
            max_bytes=repair.max_bytes,
            exclude=tuple(repair.exclude),
            ops=ops_projects.rules(projects),
        ),
        ops=projects,
        index=index,
        companions=tuple(companions.companion),
        watched=tuple(watched.watched),
    )


def _line(name: str, entry: LineEntry, path: Path) -> Line:
    if name in RESERVED:
        message = f"{path}: `{name}` cannot name a line: the site has a folder of that name"
        raise ConfigError(message, remedy="Choose another name, such as `cu12slim`.")
    if entry.cuda and not (entry.archs or entry.ptx):
        message = f"{path}: `{name}` has a CUDA version but neither `archs` nor `ptx`, so no GPU could run it"
        raise ConfigError(message)
    if not entry.cuda and (entry.archs or entry.ptx or entry.toolkit):
        message = f"{path}: `{name}` has GPU code (`archs`, `ptx`, `toolkit`) but no CUDA version"
        raise ConfigError(message)
    if entry.toolkit and entry.cuda and not entry.cuda.startswith(OF_PYPI):
        message = (
            f"{path}: `{name}.cuda` is {entry.cuda}, and the compiler that is made of the parts in `toolkit` is for "
            f"CUDA {OF_PYPI}x alone"
        )
        raise ConfigError(message, remedy="Leave `toolkit` out, and install NVIDIA's own compiler, nvcc, of that CUDA.")
    if entry.retarget and not entry.cuda:
        message = f"{path}: `{name}.retarget` is for GPU code, and the line has no CUDA version"
        raise ConfigError(message)
    if entry.rpath and not entry.cuda:
        message = f"{path}: `{name}.rpath` is about the search for CUDA, and the line has no CUDA version"
        raise ConfigError(message)
    if entry.rpath and entry.builder != "overlay":
        message = f"{path}: `{name}.rpath` changes an official library, and the builder `{entry.builder}` has none"
        raise ConfigError(message)
    return Line(
        name=name,
        label=entry.label,
        base=entry.base,
        cuda=entry.cuda,
        archs=tuple(entry.archs),
        ptx=entry.ptx,
        toolkit=tuple(entry.toolkit),
        builder=entry.builder,
        retarget=_retarget(f"{path}: `{name}.retarget", entry.retarget) if entry.retarget else None,
        rpath=entry.rpath,
    )


def _retarget(place: str, entry: Retarget) -> Retarget:
    """Check the rules that involve several keys; ``place`` begins the messages."""
    for key, archs in (("archs", entry.archs), ("generated", entry.generated)):
        if len(set(archs)) < len(archs):
            message = f"{place}.{key}` names {max(archs, key=archs.count)} more than once"
            raise ConfigError(message)
    if unknown := [arch for arch in entry.generated if arch not in entry.archs]:
        message = f"{place}.generated` has {unknown[0]}, which `archs` lacks; {nearest(unknown[0], list(entry.archs))}"
        raise ConfigError(message)
    return entry.model_copy(update={"archs": tuple(sorted(entry.archs, key=int))})


def _base(entry: BaseEntry) -> Base:
    return Base(
        project=entry.project,
        version=entry.version,
        python=entry.python,
        file=entry.file,
        sha256=entry.sha256,
        size=entry.size,
        platforms=tuple(entry.platforms),
        requires_python=entry.requires_python,
        requires_dist=tuple(entry.requires_dist),
        runpaths=dict(entry.runpaths),
        archs={library: tuple(found) for library, found in entry.archs.items()},
        families={family: tuple(found) for family, found in entry.families.items()},
    )
