"""Runs the gates and the smoke test on a finished wheel in parallel, and stores the results in its record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tfwheel.build import official_wheel, ops_wheel
from tfwheel.build.job import FinishedWheel
from tfwheel.checks import container_environments, environments, ops_trial, smoke, wheel_gates
from tfwheel.checks.ops_trial import OpsUnderTest
from tfwheel.checks.wording import some
from tfwheel.colab import wheel_facts
from tfwheel.colab.fit_table import Judge
from tfwheel.index import local_index
from tfwheel.system import console, sources
from tfwheel.wheel import overlay, records

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tfwheel.build.job import Job
    from tfwheel.checks.environments import Environment
    from tfwheel.checks.wheel_gates import Passed
    from tfwheel.system.containers import ContainerHost
    from tfwheel.wheel.overlay import MergedWheel
    from tfwheel.wheel.records import Record


@dataclass(frozen=True, kw_only=True)
class _SmokeOutcome:
    """The report of a smoke test, passed or not, and its log."""

    report: dict[str, Any]
    log: Path


def prepared_environment(job: Job, *, require_gpu: bool) -> AbstractContextManager[Environment]:
    """Prepare the smoke-test environment of a TensorFlow wheel while the block builds the wheel.

    The requirements of the official wheel are installed in advance. Raises the errors of ``environments.made``.
    """
    size, requires = job.base.size, job.base.requires_dist
    return environments.made(job.target, log=job.log("smoke"), size=size, requires=requires, require_gpu=require_gpu)


def verify_merged(
    job: Job, merged: MergedWheel, record: Record, *, base: Path, environment: Environment, require_gpu: bool
) -> FinishedWheel:
    """Run the gates on a merged wheel while it is smoke-tested in an environment of its own.

    A wheel that passes the gates replaces an older build, even if the smoke test fails. Raises the errors of
    ``wheel_gates.run_gates``, then those of ``smoke_test``.
    """
    with ThreadPoolExecutor(max_workers=1) as aside:
        trying = aside.submit(_tried, job, FinishedWheel(wheel=merged.wheel, record=record), environment)
        try:
            passed = _gates(job, merged, base)
        except BaseException:
            environment.programs.end()  # nothing waits for this smoke test any more
            raise
    finished = job.keep(merged.wheel, _gated(record, passed, job, merged.wheel))
    return _noted(finished, trying.result(), require_gpu=require_gpu)


def gate_merged(job: Job, merged: MergedWheel, record: Record, *, base: Path) -> FinishedWheel:
    """Run the gates on a merged wheel, and keep it if it passes them; nothing of it is run."""
    return job.keep(merged.wheel, _gated(record, _gates(job, merged, base), job, merged.wheel))


def _gated(record: Record, passed: Passed, job: Job, wheel: Path) -> Record:
    """Return the record with what the gates found, and with the judgement about the wheel in Colab's runtimes."""
    judge = Judge.load(job.paths.settings)
    fit: dict[str, Any] = {}
    if judge.runtimes:
        facts = wheel_facts.built(wheel, gpu_code=passed.gpu_code, cuda=job.target.line.cuda)
        fit = {name: one.plain() for name, one in judge.of(facts).items()}
    return record.grown(gates=passed.findings, gpu_code=passed.gpu_code, times=dict(job.times), fit=fit)


def _gates(job: Job, merged: MergedWheel, base: Path) -> Passed:
    with console.step("gates", job.times):
        return wheel_gates.run_gates(merged, base=base, locked=job.base, target=job.target, rules=job.config.repair)


def smoke_test(
    job: Job, finished: FinishedWheel, *, require_gpu: bool, again: bool = False, place: ContainerHost | None = None
) -> FinishedWheel:
    """Smoke-test a wheel unless its report is current, and keep the report in its record.

    With ``place`` it is tested in a container, which the report names. Raises SmokeError when the wheel does not work,
    and the errors of ``environments.made`` or ``container_environments.made``, which are not about the wheel.
    """
    if not again and _smoke_is_current(finished.record, require_gpu=require_gpu):
        console.say(f"  smoke-tested already: passed, gpu: {_gpu(finished.record)}")
        return finished
    official = _official(job, finished)
    step = "ops-smoke" if finished.record.project == ops_wheel.PROJECT else "smoke"
    if place:
        log, wheels = job.log(f"{step}-container"), [official] if official else []
        made = container_environments.made(job.target, place, log=log, wheels=wheels, require_gpu=require_gpu)
    else:
        size = sum(wheel.stat().st_size for wheel in (finished.wheel, official) if wheel)
        made = environments.made(job.target, log=job.log(step), size=size, require_gpu=require_gpu)
    with made as environment:
        outcome = _tried(job, finished, environment, official=official)
    if place:
        where = {"container": {"image": place.image, "id": place.image_id}}
        outcome = replace(outcome, report=outcome.report | where)
    return _noted(finished, outcome, require_gpu=require_gpu)


def _official(job: Job, finished: FinishedWheel) -> Path | None:
    """Return the official wheel to install beside an ops wheel; None if it is not needed or pip installs TensorFlow."""
    # The ops require `tensorflow` by name: pip resolves that itself if the base has another name.
    beside = finished.record.project == ops_wheel.PROJECT and job.base.project == overlay.NAME
    return official_wheel.fetch(job.base, job.paths.cache) if beside else None


def _tried(
    job: Job, finished: FinishedWheel, environment: Environment, *, official: Path | None = None
) -> _SmokeOutcome:
    """Install the wheel from a served index of its own and run the smoke test."""
    console.say(f"  smoke test of {finished.wheel.name}")
    served = local_index.serve_alone(
        finished.wheel, line=finished.record.line, workdir=job.work, sha256=finished.record.sha256
    )
    with served as url:
        candidate = smoke.WheelUnderTest(
            target=job.target,
            record=finished.record,
            wheel=finished.wheel,
            index_url=url,
            official=official,
            ops=OpsUnderTest.of(finished.wheel, job.config.repair.ops, job.ops_tests()),
        )
        report = smoke.smoke(candidate, environment)
    return _SmokeOutcome(report=report | {"checks_key": code_key()}, log=environment.log)


def _noted(finished: FinishedWheel, outcome: _SmokeOutcome, *, require_gpu: bool) -> FinishedWheel:
    """Store a smoke report in the record of its wheel; SmokeError if the test failed."""
    report = outcome.report
    on_gpu = require_gpu or isinstance(report["gpu"], dict)  # with require_gpu the test only starts on a GPU
    record = finished.record.grown(smoke=report, gpu_smoke=report if on_gpu else finished.record.gpu_smoke)
    records.save(record, finished.wheel)
    smoke.require_passed(report, log=outcome.log)
    console.say(f"  smoke test passed, gpu: {_gpu(record)}")
    if idle := ops_trial.not_run(report):
        console.warn(f"no test ran the ops {some(idle)}: name programs that do in `tests` of ops.toml")
    return replace(finished, record=record)


def _smoke_is_current(record: Record, *, require_gpu: bool) -> bool:
    """Return whether the smoke report is for these bytes and checks, and from a GPU if one is required."""
    report, passed = (record.smoke, record.passed_smoke)
    if require_gpu:
        report, passed = record.gpu_smoke, record.passed_gpu_smoke
    return passed and (report or {}).get("checks_key") == code_key()


def code_key() -> str:
    """Return a digest of the code that decides a smoke report, without the index, which only serves the wheel."""
    return sources.digest(__name__, without=("index", "colab"))


def _gpu(record: Record) -> str:
    gpu = (record.smoke or {}).get("gpu")
    return f"{gpu['name']}" if isinstance(gpu, dict) else f"{gpu}"
