"""One target's build: settings, paths, locks, scratch folder, logs and finished wheel."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfwheel.build import ops_sources, ops_tests, source_base
from tfwheel.config import build_config, inputs, plan
from tfwheel.errors import BadWheelError
from tfwheel.index import ledger
from tfwheel.system import console, git, locks, scratch
from tfwheel.system.errors import CommandError
from tfwheel.wheel import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.ops_projects import OpsProject
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
    """One target being built; ``times`` are the seconds of its steps, ``cached`` the names of its cache hits."""

    config: Config
    paths: Paths
    target: Target
    base: Base
    times: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, target_id: str, paths: Paths) -> Job:
        """Read the settings; SelectionError, NotLockedError or ConfigError when they do not have the target."""
        settings = build_config.load(paths.settings)
        target = plan.find(plan.targets(settings), target_id)
        base = source_base.of(target, paths) if target.builder == "source" else plan.base_of(settings, target)
        return cls(config=settings, paths=paths, target=target, base=base)

    @property
    def inputs(self) -> str:
        """The digest of the settings that all Pythons of this version share."""
        return inputs.digest(self.config, self.target)

    def warn_if_other_bytes(self, finished: FinishedWheel) -> None:
        """Warn if a wheel is published with other bytes although its inputs are the same: its tools differ then."""
        entry = ledger.read(self.paths.published).by_file.get(finished.wheel.name)
        if entry and entry.sha256 != finished.record.sha256:
            console.warn(
                f"{finished.wheel.name} is published with sha256 {entry.sha256}, and these bytes are others (compiler, "
                "tools or the factory changed): they cannot be published unless you raise `build` in targets.toml"
            )

    @property
    def ops(self) -> list[str]:
        """What the SBOM calls the ops: libraries, or for a project that names none ``<op>`` of ``src/<op>.cc``."""
        on_line = [one if self.target.line.gpu_code else one.without_gpu() for one in self.config.ops]
        found = {library.file for project in on_line for library in project.library}
        for project in on_line:
            if project.path and not project.library:
                sources = (self.paths.settings / project.path / project.folder / "src").rglob("*.cc")
                found |= {path.stem for path in sources if not path.name.endswith(".cu.cc")}
        return sorted(found)

    def ops_sources(self) -> list[tuple[OpsProject, Path]]:
        """Return each custom-op project with its tree, fetched if need be; raises OpsSourceError and PatchError."""
        return [
            (project, ops_sources.fetch(project, self.paths.settings, self.paths.cache)) for project in self.config.ops
        ]

    def ops_tests(self) -> dict[str, list[Path]]:
        """Return the test programs of the custom-op projects that have some, by project.

        Raises OpsSourceError for one that is not there, or that would pass without having run a test.
        """
        tested = [project for project in self.config.ops if project.tests]
        trees = [ops_sources.fetch(project, self.paths.settings, self.paths.cache) for project in tested]
        found = {
            one.name: ops_sources.tests(one, tree, self.paths.settings) for one, tree in zip(tested, trees, strict=True)
        }
        ops_tests.require_running((name, path) for name, paths in found.items() for path in paths)
        return found

    @property
    def patches(self) -> Path:
        """The patches for this TensorFlow version (the folder need not exist)."""
        return self.paths.settings / "patches" / self.target.tensorflow

    @property
    def ceilings(self) -> Path:
        """The folder of XLA's CUDA version ceilings, one file per TensorFlow version."""
        return self.paths.settings / "xla"

    @property
    def work(self) -> Path:
        """The scratch folder; it exists during ``scratch``."""
        return self.paths.dist / "work" / self.target.id

    def log(self, step: str) -> Path:
        """Return the log file of a step; the log of the previous run is deleted."""
        path = self.paths.dist / "logs" / f"{self.target.id}.{step}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path

    def commit(self) -> str:
        """Return the commit of the sources, with ``-dirty`` if files differ from it; empty outside git."""
        words = ["describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]  # never a tag instead of its commit
        try:
            return git.run(*words, at=self.paths.settings).strip().rpartition("\n")[2]  # after git's warnings
        except CommandError:
            return ""

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Lock a wheel's folder; a second build of it waits with a message (TargetBusyError after an hour)."""
        lock = self.paths.dist / "locks" / f"{name}.lock"
        return locks.exclusive(lock, busy=f"another build of {name} is running")

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Create the scratch folder for the block and delete it afterwards, and first what killed runs left.

        The folder of a target is locked with its wheel: only what nobody builds is deleted.
        """
        shutil.rmtree(self.work, ignore_errors=True)
        scratch.sweep_unlocked(self.work.parent, self.paths.dist / "locks")
        self.work.mkdir(parents=True)
        try:
            yield
        finally:
            shutil.rmtree(self.work, ignore_errors=True)

    @contextmanager
    def recording_cache_hit(self, name: str, path: Path) -> Iterator[None]:
        """Record a cache hit if the block did not modify the file or folder ``path``."""
        before = _identity(path)
        yield
        if before and before == _identity(path):
            self.cached.append(name)

    def kept(self, name: str, key: str | None = None) -> FinishedWheel | None:
        """Return the finished wheel of that name, or None; with ``key``, only if its record has that key."""
        for path in (self.paths.wheels / name).glob(f"*{records.SUFFIX}"):
            try:
                record = records.load(path)
            except BadWheelError as error:
                console.warn(f"{error.message}; ignoring it")
                continue
            wheel = path.with_name(record.file)
            if key in (None, record.key) and wheel.is_file() and wheel.stat().st_size == record.size:
                return FinishedWheel(wheel=wheel, record=record)
        return None

    def renewed(self, finished: FinishedWheel) -> FinishedWheel:
        """Note in the record of a wheel that is not built again that today's inputs give these very bytes."""
        if finished.record.inputs == self.inputs:
            return finished
        record = finished.record.grown(inputs=self.inputs)
        records.save(record, finished.wheel)
        return FinishedWheel(wheel=finished.wheel, record=record)

    def keep(self, wheel: Path, record: Record) -> FinishedWheel:
        """Move a finished wheel and its record to its folder, replacing an older build.

        The old record is deleted first: a kill at any point leaves no record of other bytes.
        """
        folder = self.paths.wheels / record.target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"*{records.SUFFIX}"):
            old.unlink()
        finished = FinishedWheel(wheel=wheel.replace(folder / wheel.name), record=record)
        records.save(record, finished.wheel)
        for path in set(folder.iterdir()) - {finished.wheel, records.path_for(finished.wheel)}:
            path.unlink()
        return finished


def _identity(path: Path) -> tuple[int, int] | None:
    """Return inode and modification time, which change when a file or folder is rebuilt; None if there is none."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns
