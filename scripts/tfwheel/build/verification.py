"""Holds a finished wheel to the gates and lets it compute, at the same time; what was found goes into its record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tfwheel.build import official_wheel, ops_wheel
from tfwheel.build.job import FinishedWheel
from tfwheel.checks import environments, smoke, wheel_gates
from tfwheel.index import local_index
from tfwheel.system import console, sources
from tfwheel.wheel import overlay, records

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tfwheel.build.job import Job
    from tfwheel.checks.environments import Environment
    from tfwheel.wheel.overlay import MergedWheel
    from tfwheel.wheel.records import Record


@dataclass(frozen=True, kw_only=True)
class _SmokeOutcome:
    """The report of a smoke test, passed or not, and its log."""

    report: dict[str, Any]
    log: Path


def prepared_environment(job: Job, *, require_gpu: bool) -> AbstractContextManager[Environment]:
    """The environment in which the block's wheel of TensorFlow will be tried; it is made while the block builds it.

    What the official wheel requires is installed there beforehand. Raises what ``environments.made`` raises.
    """
    size, requires = job.base.size, job.base.requires_dist
    return environments.made(job.target, log=job.log("smoke"), size=size, requires=requires, require_gpu=require_gpu)


def verify_merged(
    job: Job, merged: MergedWheel, record: Record, *, base: Path, environment: Environment, require_gpu: bool
) -> FinishedWheel:
    """Hold a merged wheel to the gates while it is smoke-tested in an environment of its own.

    Once it has passed the gates it is kept in place of an older build, whatever the smoke test says. Raises what
    ``gates.run_gates`` and then what ``smoke_test`` raises.
    """
    with ThreadPoolExecutor(max_workers=1) as aside:
        trying = aside.submit(_tried, job, FinishedWheel(wheel=merged.wheel, record=record), environment)
        try:
            with console.step("gates", job.times):
                passed = wheel_gates.run_gates(
                    merged, base=base, locked=job.base, target=job.target, rules=job.config.repair
                )
        except BaseException:
            environment.programs.end()  # a smoke test that nobody waits for
            raise
    made = job.keep(merged.wheel, record.grown(gates=passed, times=dict(job.times)))
    return _noted(made, trying.result(), require_gpu=require_gpu)


def smoke_test(job: Job, made: FinishedWheel, *, require_gpu: bool, again: bool = False) -> FinishedWheel:
    """Smoke-test a wheel unless that has been done, and keep the report in its record.

    Raises SmokeError when it does not work, and what ``environments.made`` raises, which says nothing about the wheel.
    """
    if not again and _smoke_is_current(made.record, require_gpu=require_gpu):
        console.say(f"  smoke-tested already: passed, gpu: {_gpu(made.record)}")
        return made
    official = _official(job, made)
    log = job.log("ops-smoke" if made.record.project == ops_wheel.PROJECT else "smoke")
    size = sum(wheel.stat().st_size for wheel in (made.wheel, official) if wheel)
    with environments.made(job.target, log=log, size=size, require_gpu=require_gpu) as environment:
        return _noted(made, _tried(job, made, environment, official=official), require_gpu=require_gpu)


def _official(job: Job, made: FinishedWheel) -> Path | None:
    """The official wheel, for one that only adds to it; None where pip itself brings it."""
    # The ops require `tensorflow` by name, which is what pip finds where the base has another name.
    beside = made.record.project == ops_wheel.PROJECT and job.base.project == overlay.NAME
    return official_wheel.fetch(job.base, job.paths.cache) if beside else None


def _tried(job: Job, made: FinishedWheel, environment: Environment, *, official: Path | None = None) -> _SmokeOutcome:
    """Install the wheel from a served index of its own and let it compute."""
    console.say(f"  smoke test of {made.wheel.name}")
    served = local_index.serve_alone(made.wheel, line=made.record.line, workdir=job.work, sha256=made.record.sha256)
    with served as url:
        candidate = smoke.WheelUnderTest(
            target=job.target, record=made.record, wheel=made.wheel, index_url=url, official=official
        )
        report = smoke.smoke(candidate, environment)
    return _SmokeOutcome(report=report | {"checks_key": code_key()}, log=environment.log)


def _noted(made: FinishedWheel, trial: _SmokeOutcome, *, require_gpu: bool) -> FinishedWheel:
    """Put a smoke report into the record of its wheel; SmokeError when it is of a failure."""
    report = trial.report
    on_gpu = require_gpu or isinstance(report["gpu"], dict)  # what needs one starts nowhere else, whatever it reached
    record = made.record.grown(smoke=report, gpu_smoke=report if on_gpu else made.record.gpu_smoke)
    records.save(record, made.wheel)
    smoke.require_passed(report, log=trial.log)
    console.say(f"  smoke test passed, gpu: {_gpu(record)}")
    return replace(made, record=record)


def _smoke_is_current(record: Record, *, require_gpu: bool) -> bool:
    """Whether the record's smoke report is of these bytes, of these checks, and on a GPU where one is asked for."""
    report, passed = (record.smoke, record.passed_smoke)
    if require_gpu:
        report, passed = record.gpu_smoke, record.passed_gpu_smoke
    return passed and (report or {}).get("checks_key") == code_key()


def code_key() -> str:
    """Digest of the code that decides what a smoke report says; the index only serves the wheel to pip."""
    return sources.digest(__name__, without=("index",))


def _gpu(record: Record) -> str:
    gpu = (record.smoke or {}).get("gpu")
    return f"{gpu['name']}" if isinstance(gpu, dict) else f"{gpu}"
