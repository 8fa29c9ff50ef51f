"""Compare a newer runtime with the newest that is stored, and say what of it matters for TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from tfwheel.colab import distributions, requirements, runtimes, snapshots
from tfwheel.config import toml_files
from tfwheel.errors import UsageError
from tfwheel.system import pip_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.fit_table import Judge
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.config.build_config import Config

# The files of a folder that describes a runtime, as Colab's repository `backend-info` names them, and as it did before.
FREEZES = ("pip-freeze.gpu.txt", "pip-freeze-gpu.txt", "pip-freeze.txt")
SYSTEMS = ("os-info-gpu.txt", "os-info.gpu.txt", "os-info.txt")
PACKAGES = ("apt-list-gpu.txt", "apt-list.gpu.txt", "apt-list.txt")
SNAPSHOT = "snapshot.json"
MARK = "google-colab"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What differs between two runtimes: facts of the system, and versions of distributions, as (name, old, new).

    ``close`` are those that TensorFlow or its companions need; of the others only the numbers are shown.
    """

    system: tuple[tuple[str, str, str], ...] = ()
    close: tuple[tuple[str, str, str], ...] = ()
    others: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether nothing differs."""
        return not (self.system or self.close or self.others)


def read(path: Path, *, name: str = "newer") -> Runtime:
    """Read a runtime from a file or a folder: a snapshot, a freeze, or a clone of Colab's ``backend-info``.

    Raises UsageError if there is nothing of that kind, and ConfigError for what cannot be read.
    """
    if path.is_file() and path.suffix == ".json":
        return runtimes.of_snapshot(_snapshot(path), name=name)
    if path.is_dir() and (path / SNAPSHOT).is_file():
        return runtimes.of_snapshot(_snapshot(path / SNAPSHOT), name=name)
    folder = path if path.is_dir() else path.parent
    freeze = path if path.is_file() else _first(folder, FREEZES)
    system = _first(folder, SYSTEMS)
    if freeze is None or system is None:
        message = (
            f"{path} describes no runtime: it needs {SNAPSHOT}, or one of {', '.join(FREEZES)} beside {SYSTEMS[-1]}"
        )
        remedy = "Name a clone of googlecolab/backend-info, or a snapshot of snapshot_program.py."
        raise UsageError(message, remedy=remedy)
    apt = _first(folder, PACKAGES)
    read_system = snapshots.parse_os_info(toml_files.text(system), source=str(system))
    return runtimes.of_freeze(
        snapshots.parse_freeze(toml_files.text(freeze), source=str(freeze)),
        name=name,
        python=read_system.python,
        system=read_system,
        packages=snapshots.parse_apt(toml_files.text(apt), source=str(apt)) if apt else None,
    )


def looks_like_colab(runtime: Runtime) -> bool:
    """Return whether a runtime has the distribution that Colab itself puts into each of its own."""
    return MARK in {str(canonicalize_name(name)) for name in (*runtime.pins, *runtime.direct)}


def compare(old: Runtime, new: Runtime, known: Distributions) -> Drift:
    """Return what differs; a fact that one of the two does not say is no difference."""
    facts = [
        ("Python", old.python, new.python),
        ("glibc", old.glibc, new.glibc),
        ("CUDA", old.cuda, new.cuda),
        ("driver", old.driver, new.driver),
        *((f"cuDNN ({source})", old.cudnn.get(source), new.cudnn.get(source)) for source in ("apt", "pip")),
    ]
    before, after = old.installed, new.installed
    near = _near(known)
    changed = [
        (name, before.get(name, "absent"), after.get(name, "absent"))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    return Drift(
        system=tuple((fact, one, other) for fact, one, other in facts if one and other and one != other),
        close=tuple(row for row in changed if row[0] in near),
        others=sum(row[0] not in near for row in changed),
    )


def newer_than(config: Config, judge: Judge) -> dict[str, list[str]]:
    """Ask pip's index for official TensorFlows newer than all that are known here, by project, the newest first.

    Of a project of which nothing is known here, all versions are new, and of reserved names unfinished ones, too.
    Raises DownloadError.
    """
    pythons = sorted({runtime.python_minor for runtime in judge.runtimes}, key=Version)
    found = {}
    for project in distributions.OFFICIAL:
        there = {base.version for base in config.bases if base.project == project}
        there |= judge.known.versions.get(project, {}).keys()
        finals = [one for one in map(Version, there) if not one.is_prerelease]  # pip lists nothing else
        newest = max(finals, default=None)
        offered = {version for python in pythons for version in pip_queries.versions(project, python=python)}
        if fresh := [version for version in offered if newest is None or Version(version) > newest]:
            found[project] = sorted(fresh, key=Version, reverse=True)
    for project, fresh in on_reserved_names(config, pythons).items():
        found[project] = sorted({*fresh, *found.get(project, ())}, key=Version, reverse=True)
    return found


def on_reserved_names(config: Config, pythons: Sequence[str]) -> dict[str, list[str]]:
    """Ask pip's index what is new under the names of ``watched.toml``, finished or not, the newest first.

    Raises DownloadError.
    """
    found = {}
    for entry in config.watched:
        asked = (pip_queries.versions(entry.project, python=python, unfinished=True) for python in pythons)
        offered = {version for versions in asked for version in versions}
        if fresh := [version for version in offered if Version(version) > Version(entry.seen)]:
            found[entry.project] = sorted(fresh, key=Version, reverse=True)
    return found


def wished(runtime: Runtime, targets: Sequence[tuple[str, str]]) -> str | None:
    """Return what should be built for a runtime: its TensorFlow for its Python; None if the targets have it.

    ``targets`` are (TensorFlow, Python). A patch release of the same minor version counts as well.
    """
    has = runtime.tensorflow
    there = snapshots.version(has or "")
    if has is None or there is None:
        return None
    minor = there.release[:2]
    if any(python == runtime.python_minor and Version(version).release[:2] == minor for version, python in targets):
        return None
    return f"TensorFlow {has.partition('+')[0]} for Python {runtime.python_minor}"


def _near(known: Distributions) -> set[str]:
    """Return the names that TensorFlow or a companion is, or requires."""
    named = {
        str(canonicalize_name(one.name))
        for rows in known.requires.values()
        for requires in rows.values()
        for text in requires
        if (one := requirements.parsed(text)) and not one.marker
    }
    return {*known.requires, *known.versions, *named}


def _snapshot(path: Path) -> snapshots.Snapshot:
    return snapshots.parse_snapshot(toml_files.text(path).encode(), source=str(path))


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
