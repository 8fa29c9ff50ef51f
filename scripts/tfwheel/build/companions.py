"""Tries the companions of finished wheels, the projects of companions.toml, and stores the results in the records.

What fails beside a wheel is tried beside the official wheel of the same version, too: only what works there is a fault
of ours.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tfwheel.build import official_wheel, summary
from tfwheel.build.job import Job
from tfwheel.checks import companions, environments
from tfwheel.checks.companions import InstalledTensorFlow
from tfwheel.checks.errors import CompanionError
from tfwheel.config import build_config, plan
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import Paths
from tfwheel.config.targets import session_of
from tfwheel.index import local_index
from tfwheel.index.errors import WheelMissingError
from tfwheel.system import console
from tfwheel.wheel import overlay, records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.build.job import FinishedWheel
    from tfwheel.checks.companions import Outcome
    from tfwheel.config.schema import CompanionEntry


def try_all(target_ids: Sequence[str] = (), *, paths: Paths | None = None) -> None:
    """Try every companion beside the finished wheels of these targets, by default beside all in dist/wheels.

    Each wheel gets a report in its record, and all a table in ``dist/reports/summary.md``. Raises CompanionError, when
    all wheels have been tried, for projects that work beside the official wheel alone. Raises WheelMissingError,
    SelectionError or ConfigError before any work.
    """
    paths = paths or Paths.here()
    config = build_config.load(paths.settings)
    companions.require_checks(config.companions, paths.settings / "companions.toml")
    if not config.companions:
        message = f"{paths.settings / 'companions.toml'} names no project"
        raise ConfigError(message, remedy="Add a [[companion]], as in index/docs/customise.md.")
    jobs = [job for name in target_ids or _finished(paths, config) if _has_tensorflow(job := Job.of(name, paths))]
    for job in jobs:
        _kept(job)
    faults: list[str] = []
    try:
        for job in jobs:
            with job.exclusive(job.target.id), job.scratch():
                faults += _tried(job)
    finally:
        summary.refresh(paths)
    if faults:
        message = "\n  ".join(["beside the official TensorFlow they work, and beside the wheel not:", *faults])
        raise CompanionError(message)


def _finished(paths: Paths, config: build_config.Config) -> list[str]:
    """Return the targets with a finished TensorFlow wheel; WheelMissingError if there is none."""
    found = [one.id for one in plan.targets(config) if any((paths.wheels / one.id).glob(f"*{records.SUFFIX}"))]
    if not found:
        message = f"there is no TensorFlow wheel below {paths.wheels}"
        raise WheelMissingError(message, remedy="Build a target first; `nox -s plan` lists them.")
    return found


def _has_tensorflow(job: Job) -> bool:
    """Return whether a target's wheel is a TensorFlow; one with ops alone is installed beside the official one."""
    if job.target.builder == "ops":
        console.say(f"{job.target.id}: a wheel of ops alone; its companions are those of the official TensorFlow")
    return job.target.builder != "ops"


def _kept(job: Job) -> FinishedWheel:
    finished = job.kept(job.target.id)
    if finished is None:
        message = f"there is no TensorFlow wheel for {job.target.id} yet"
        session = f'nox -s "{session_of(job.target.line.name)}({job.target.id})"'
        raise WheelMissingError(message, remedy=f"Build it first: `{session}`.")
    return finished


def _tried(job: Job) -> list[str]:
    """Try every companion beside a wheel, and store the report in its record; return its faults, a line each."""
    finished, entries = _kept(job), job.config.companions
    console.say(f"{job.target.id}: {finished.wheel.name} and its companions")
    ours = _beside_ours(job, finished, entries)
    failed = [entry for entry in entries if ours[entry.project].result != companions.PASSED]
    official = _beside_official(job, failed) if failed else {}
    faults = [
        f"{job.target.id}: {_in_words(name, one)}"
        for name, one in ours.items()
        if companions.is_fault(one, official.get(name))
    ]
    report: dict[str, Any] = {
        "passed": not faults,
        "reason": faults[0] if faults else None,
        "projects": {
            name: asdict(one) | ({"official": official[name].result} if name in official else {})
            for name, one in ours.items()
        },
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "wheel_sha256": finished.record.sha256,
        "times": dict(job.times),
    }
    records.save(finished.record.grown(companions=report), finished.wheel)
    return faults


def _beside_ours(job: Job, finished: FinishedWheel, entries: Sequence[CompanionEntry]) -> dict[str, Outcome]:
    """Try companions beside the wheel, which pip installs from a served index of its own."""
    record = finished.record
    served = local_index.serve_alone(finished.wheel, line=record.line, workdir=job.work, sha256=record.sha256)
    made = environments.made(job.target, log=job.log("companions"), size=record.size)
    with served as url, made as environment:
        tensorflow = InstalledTensorFlow(environment=environment, version=record.version, index_url=url)
        with console.step("companions: install", job.times):
            companions.install(tensorflow, f"tensorflow=={record.version}", sha256=record.sha256)
        with console.step("companions: try", job.times):
            return _outcomes(tensorflow, entries)


def _beside_official(job: Job, entries: Sequence[CompanionEntry]) -> dict[str, Outcome]:
    """Try companions beside the official wheel of the same version."""
    version = job.target.tensorflow
    wanted: str | Path = f"tensorflow=={version}"
    if job.base.project == overlay.NAME:  # companions require `tensorflow` by name
        wanted = official_wheel.fetch(job.base, job.paths.cache)
    with environments.made(job.target, log=job.log("companions-official"), size=job.base.size) as environment:
        tensorflow = InstalledTensorFlow(environment=environment, version=version)
        with console.step("companions: install the official wheel", job.times):
            companions.install(tensorflow, wanted)
        with console.step("companions: try those that failed beside it", job.times):
            return _outcomes(tensorflow, entries)


def _outcomes(tensorflow: InstalledTensorFlow, entries: Sequence[CompanionEntry]) -> dict[str, Outcome]:
    """Try companions one after the other, and say what came of each."""
    found = {}
    for entry in entries:
        found[entry.project] = companions.tried(tensorflow, entry)
        console.say(f"    {_in_words(entry.project, found[entry.project])}")
    return found


def _in_words(project: str, outcome: Outcome) -> str:
    return f"{' '.join(filter(None, (project, outcome.version)))}: {outcome.result}"
