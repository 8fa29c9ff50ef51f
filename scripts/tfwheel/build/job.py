"""One target being built: what it is made from, its lock, its scratch folder, its logs and its finished wheel."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfwheel.config import build_config, plan
from tfwheel.errors import BadWheelError
from tfwheel.system import console, locks
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.paths import Paths
    from tfwheel.config.targets import Base, Target
    from tfwheel.wheel.records import Record


@dataclass(frozen=True, kw_only=True)
class FinishedWheel:
    """A finished wheel and its record."""

    wheel: Path
    record: Record


@dataclass(frozen=True, kw_only=True)
class Job:
    """One target being built, with its settings, the seconds that its steps took, and what came from a cache."""

    config: Config
    paths: Paths
    target: Target
    base: Base
    times: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, target_id: str, paths: Paths) -> Job:
        """Read the settings; SelectionError, NotLockedError or ConfigError when they do not hold the target."""
        settings = build_config.load(paths.settings)
        target = plan.find(plan.targets(settings), target_id)
        return cls(config=settings, paths=paths, target=target, base=plan.base_of(settings, target))

    @property
    def ops_project(self) -> Path:
        """The custom-op project."""
        return self.paths.settings / "ops"

    @property
    def ops(self) -> list[str]:
        """The names of the custom ops: an op is ``src/<op>.cc``."""
        return sorted(path.stem for path in (self.ops_project / "src").glob("*.cc"))

    @property
    def patches(self) -> Path:
        """The patches for this TensorFlow version (the folder need not exist)."""
        return self.paths.settings / "patches" / self.target.tensorflow

    @property
    def ceilings(self) -> Path:
        """What is known of XLA's newest CUDA version, a file per TensorFlow version."""
        return self.paths.settings / "xla"

    @property
    def work(self) -> Path:
        """Scratch; there while ``scratch`` holds."""
        return self.paths.dist / "work" / self.target.id

    def log(self, step: str) -> Path:
        """Where the output of a step is kept; the log of the run before is dropped."""
        path = self.paths.dist / "logs" / f"{self.target.id}.{step}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path

    def commit(self) -> str:
        """The commit the sources are at, with ``-dirty`` where files differ from it; empty outside git."""
        words = ["describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]  # else a tag stands for its commit
        try:
            return run(["git", "-C", self.paths.settings, *words]).strip()
        except CommandError:
            return ""

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock of a wheel's folder; a second build of it waits and says so (TargetBusyError after an hour)."""
        lock = self.paths.dist / "locks" / f"{name}.lock"
        return locks.exclusive(lock, busy=f"another build of {name} is running")

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """An empty scratch folder for the time of a build; what a killed run left is removed first."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        try:
            yield
        finally:
            shutil.rmtree(self.work, ignore_errors=True)

    @contextmanager
    def recording_cache_hit(self, name: str, path: Path) -> Iterator[None]:
        """Remember that something came from a cache, if the block leaves the file or folder ``path`` as it found it."""
        before = _identity(path)
        yield
        if before and before == _identity(path):
            self.cached.append(name)

    def kept(self, name: str, key: str | None = None) -> FinishedWheel | None:
        """The finished wheel of that name, if there is one and, where a key is given, it is what the key stands for."""
        for path in (self.paths.wheels / name).glob(f"*{records.SUFFIX}"):
            try:
                record = records.load(path)
            except BadWheelError as error:
                console.warn(f"{error.message}; it does not count")
                continue
            wheel = path.with_name(record.file)
            if key in (None, record.key) and wheel.is_file() and wheel.stat().st_size == record.size:
                return FinishedWheel(wheel=wheel, record=record)
        return None

    def keep(self, wheel: Path, record: Record) -> FinishedWheel:
        """Move a finished wheel to its folder, with its record, in place of an older build.

        The old record goes first: a kill at any point leaves no record that speaks of other bytes.
        """
        folder = self.paths.wheels / record.target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"*{records.SUFFIX}"):
            old.unlink()
        made = FinishedWheel(wheel=wheel.replace(folder / wheel.name), record=record)
        records.save(record, made.wheel)
        for path in set(folder.iterdir()) - {made.wheel, records.path_for(made.wheel)}:
            path.unlink()
        return made


def _identity(path: Path) -> tuple[int, int] | None:
    """What changes when a file or folder is made anew; None where there is none."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns
