"""The order of things: official wheel, toolchain, ops, merge, gates, smoke test, index.

The only module that knows the stages. They meet in the record and nowhere else.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from tfwheel import (
    build_ops,
    config,
    downloads,
    gates,
    keys,
    overlay,
    plan,
    progress,
    records,
    repair,
    site,
    smoke,
    toolchain,
)
from tfwheel.errors import BadWheelError, CommandError, NothingToServeError, TargetBusyError
from tfwheel.places import Places
from tfwheel.records import Record
from tfwheel.run import run
from tfwheel.targets import WHEEL_EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.config import Config
    from tfwheel.targets import Base, Target
    from tfwheel.toolchain import Toolchain

BUSY_TIMEOUT_S = 3600
# The modules whose code decides what is in a wheel, or whether it may pass.
DECIDING = (
    "atomic",
    "build_ops",
    "candidate",
    "compilers",
    "elf",
    "fatbin",
    "fatbinary",
    "gates",
    "merge",
    "metadata",
    "overlay",
    "patches",
    "repair",
    "toolchain",
    "wheelzip",
    "zipformat",
)

SMOKING = ("smoke", "smoke_checks")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One target being built: its settings, its places, and the seconds that its steps took."""

    config: Config
    places: Places
    target: Target
    base: Base
    force: bool = False
    require_gpu: bool = False
    times: dict[str, float] = field(default_factory=dict)

    @property
    def ops_project(self) -> Path:
        """The custom-op project."""
        return self.config.directory / "ops"

    @property
    def patches(self) -> Path:
        """The patches for this TensorFlow version (the folder need not exist)."""
        return self.config.directory / "patches" / self.target.tensorflow

    @property
    def work(self) -> Path:
        """Scratch, emptied before and after."""
        return self.places.dist / "work" / self.target.id

    def log(self, step: str) -> Path:
        """Where the output of a step is kept; the log of the run before is dropped."""
        path = self.places.dist / "logs" / f"{self.target.id}.{step}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished wheel and its record."""

    wheel: Path
    record: Record


def build(target_id: str, *, force: bool = False, require_gpu: bool = False, places: Places | None = None) -> Record:
    """Build, check, smoke-test and serve one target; returns the record of its wheel.

    A target of which nothing changed is left as it is, and that is said. ``force`` builds it all the same,
    ``require_gpu`` fails unless the smoke test ran on a GPU. Raises the FactoryError of the step that failed;
    what was served before stays as it was.
    """
    job = _job(target_id, places or Places.here(), force=force, require_gpu=require_gpu)
    progress.say(f"{job.target.id}: {job.base.file} -> {job.target.version}")
    with _alone(job, job.target.id), _scratch(job):
        chain = toolchain.prepare(job.target.line, cache=job.places.cache)
        key = _key(job, chain)
        made = None if force else _kept(job, job.target.id, key)
        if made:
            progress.say(f"  unchanged: {made.wheel.name} is what this configuration gives (key {key[:12]}); not built")
        else:
            made = _build(job, chain, key)
        return _smoke_and_serve(job, made).record


def smoke_target(target_id: str, *, require_gpu: bool = False, places: Places | None = None) -> Record:
    """Smoke-test the finished wheel of a target again and put the new report into its record."""
    job = _job(target_id, places or Places.here(), force=True, require_gpu=require_gpu)
    with _alone(job, job.target.id), _scratch(job):
        found = sorted((job.places.wheels / target_id).glob(f"*{records.SUFFIX}"))
        if not found:
            message = f"there is no wheel for {target_id} yet"
            raise NothingToServeError(message, remedy="Build it first: `python scripts/build_wheel.py TARGET`.")
        record = records.load(found[-1])
        return _smoke_and_serve(job, Made(wheel=found[-1].with_name(record.file), record=record), again=True).record


def _job(target_id: str, places: Places, *, force: bool, require_gpu: bool) -> Job:
    settings = config.load(places.settings)
    target = plan.find(plan.targets(settings), target_id)
    base = plan.base_of(settings, target)
    return Job(config=settings, places=places, target=target, base=base, force=force, require_gpu=require_gpu)


def _build(job: Job, chain: Toolchain, key: str) -> Made:
    """Make the wheel of a target from the official one."""
    with progress.step("official wheel", job.times):
        base = downloads.fetch_base(job.base, job.places.cache)
    ops = _ops(job, chain, base)
    return ops if job.target.builder == "ops" else _overlay(job, base, ops, key)


def _ops(job: Job, chain: Toolchain, base: Path) -> Made:
    """The repaired and tested ops wheel, compiled once for all Pythons of a TensorFlow version and line."""
    key = build_ops.compile_key(
        target=job.target, project=job.ops_project, sdk=build_ops.sdk_key(base), toolchain=chain
    )
    with _alone(job, job.target.ops_id):
        made = None if job.force else _kept(job, job.target.ops_id, key)
        if made:
            progress.say(f"  ops: {made.wheel.name} serves this Python too; not compiled")
        else:
            made = _compile(job, chain, base, key)
        return _smoke_and_serve(job, made)


def _compile(job: Job, chain: Toolchain, base: Path, key: str) -> Made:
    """Compile, repair and gate the ops wheel."""
    target, rules, log = job.target, job.config.repair, job.log("ops")
    with progress.step("TensorFlow headers", job.times):
        sdk = build_ops.unpack_sdk(base, job.places.cache)
    with progress.step("compile ops", job.times):
        raw = build_ops.compile_ops(
            target=target, project=job.ops_project, sdk=sdk, toolchain=chain, workspace=job.work, log=log
        )
    with progress.step("auditwheel repair", job.times):
        wheel, report = repair.repair(raw, job.work / "repaired", rules, epoch=WHEEL_EPOCH, log=log)
    with progress.step("gates of the ops wheel", job.times):
        passed = gates.run_ops_gates(wheel, target=target, rules=rules)
    record = Record(
        target=target.ops_id,
        project=build_ops.PROJECT,
        version=target.version,
        line=target.line.name,
        python=None,
        file=wheel.name,
        sha256=records.sha256_of(wheel),
        size=wheel.stat().st_size,
        key=key,
        source_commit=_commit(job),
        tools=keys.tool_versions() | chain.versions,
        archs=list(target.line.gpu_code),
        repair=report,
        gates=passed,
        times=dict(job.times),
    )
    return _keep(job, wheel, record)


def _overlay(job: Job, base: Path, ops: Made, key: str) -> Made:
    """Merge the ops into the official wheel, and hold the result to the gates."""
    target, rules = job.target, job.config.repair
    with progress.step("merge", job.times):
        merged = overlay.merge_overlay(
            base=base, locked=job.base, ops=ops.wheel, target=target, patches=job.patches, out_dir=job.work / "merged"
        )
    with progress.step("gates", job.times):
        passed = gates.run_gates(merged, base=base, locked=job.base, target=target, rules=rules)
    record = Record(
        target=target.id,
        project="tensorflow",
        version=target.version,
        line=target.line.name,
        python=target.python,
        file=merged.wheel.name,
        sha256=merged.sha256,
        size=merged.size,
        key=key,
        source_commit=_commit(job),
        tools=ops.record.tools,
        base={"file": job.base.file, "sha256": job.base.sha256},
        archs=ops.record.archs,
        repair=ops.record.repair,
        gates=passed,
        times=dict(job.times),
    )
    return _keep(job, merged.wheel, record)


def _smoke_and_serve(job: Job, made: Made, *, again: bool = False) -> Made:
    """Smoke-test a wheel unless that has been done, keep the report in its record, and bring the index up to date."""
    if again or not _smoke_is_current(job, made.record):
        made = _smoke(job, made)
    else:
        progress.say(f"  smoke-tested already: passed, gpu: {_gpu(made.record)}")
    site.update(job.places.site, job.places.wheels)
    return made


def _smoke(job: Job, made: Made) -> Made:
    """Install the wheel from a served index of its own and let it compute; SmokeError when it does not."""
    is_ops = made.record.project == build_ops.PROJECT
    log = job.log("ops-smoke" if is_ops else "smoke")
    # The ops require `tensorflow` by name; where the base has another, pip brings the official one itself.
    beside = is_ops and job.base.project == overlay.NAME
    official = downloads.fetch_base(job.base, job.places.cache) if beside else None
    progress.say(f"  smoke test of {made.wheel.name}")
    alone = site.serve_alone(made.wheel, line=made.record.line, workdir=job.work, sha256=made.record.sha256)
    with alone as url:
        candidate = smoke.Candidate(
            target=job.target, record=made.record, wheel=made.wheel, index_url=url, official=official
        )
        report = smoke.smoke(candidate, log=log, require_gpu=job.require_gpu)
    record = made.record.grown(smoke=report | {"checks_key": keys.of_modules(SMOKING)})
    records.save(record, made.wheel)
    smoke.require_passed(report, log=log)
    progress.say(f"  smoke test passed, gpu: {_gpu(record)}")
    return Made(wheel=made.wheel, record=record)


def _smoke_is_current(job: Job, record: Record) -> bool:
    """Whether the record's smoke report is of these bytes, of these checks, and on a GPU where one is asked for."""
    report = record.smoke or {}
    on_gpu = isinstance(report.get("gpu"), dict)
    current = report.get("checks_key") == keys.of_modules(SMOKING)
    return record.passed_smoke and current and (on_gpu or not job.require_gpu)


def _gpu(record: Record) -> str:
    gpu = (record.smoke or {}).get("gpu")
    return f"{gpu['name']}" if isinstance(gpu, dict) else f"{gpu}"


def _key(job: Job, chain: Toolchain) -> str:
    """Digest of everything that decides the bytes of a target's wheel, and whether it may pass."""
    return keys.of_facts(
        target={name: value for name, value in asdict(job.target).items() if name != "default"},
        base=job.base.sha256,
        ops=keys.of_tree(job.ops_project),
        patches=keys.of_tree(job.patches),
        rules=asdict(job.config.repair),
        toolchain=chain.identity,
        tools=keys.tool_versions(),
        code=keys.of_modules(DECIDING),
    )


def _kept(job: Job, name: str, key: str) -> Made | None:
    """The finished wheel under that name, if it is what the key stands for."""
    for path in (job.places.wheels / name).glob(f"*{records.SUFFIX}"):
        try:
            record = records.load(path)
        except BadWheelError as error:
            progress.warn(f"{error.message}; building again")
            return None
        wheel = path.with_name(record.file)
        if record.key == key and wheel.is_file() and wheel.stat().st_size == record.size:
            return Made(wheel=wheel, record=record)
    return None


def _keep(job: Job, wheel: Path, record: Record) -> Made:
    """Move a finished wheel to its folder, with its record, in place of an older build of the same target."""
    folder = job.places.wheels / record.target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    kept = wheel.replace(folder / wheel.name)
    records.save(record, kept)
    return Made(wheel=kept, record=record)


def _commit(job: Job) -> str:
    """The commit the sources are at, with ``-dirty`` where files differ from it; empty outside git."""
    try:
        return run(["git", "-C", job.places.settings, "describe", "--always", "--abbrev=40", "--dirty"]).strip()
    except CommandError:
        return ""


@contextmanager
def _alone(job: Job, name: str) -> Iterator[None]:
    """Hold the lock of a target; a second build of it waits, and says so."""
    path = job.places.dist / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.say(f"  another build of {name} is running: waiting for it")
        try:
            lock.acquire(timeout=BUSY_TIMEOUT_S)
        except Timeout as error:
            message = f"another build of {name} has been running for {BUSY_TIMEOUT_S // 60} minutes"
            raise TargetBusyError(message) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _scratch(job: Job) -> Iterator[None]:
    """An empty scratch folder for the time of a build; what a killed run left is removed first."""
    shutil.rmtree(job.work, ignore_errors=True)
    job.work.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(job.work, ignore_errors=True)
