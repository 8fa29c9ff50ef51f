"""Holds a finished wheel to the gates and lets it compute, at the same time; what was found goes into its record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tfwheel import build_ops, downloads, gates, keys, overlay, progress, records, site, smoke
from tfwheel.job import Made

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.job import Job
    from tfwheel.overlay import Merged
    from tfwheel.records import Record

CODE = ("smoke", "smoke_checks")  # whose change makes a smoke report count no longer


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """The report of a smoke test, passed or not, and its log."""

    report: dict[str, Any]
    log: Path


def proven(job: Job, merged: Merged, record: Record, *, base: Path, require_gpu: bool) -> Made:
    """Hold a merged wheel to the gates while it is smoke-tested.

    Once it has passed the gates it is kept in place of an older build, whatever the smoke test says. Raises what
    ``gates.run_gates`` and then what ``smoked`` raises.
    """
    with ThreadPoolExecutor(max_workers=1) as aside:
        trying = aside.submit(_tried, job, Made(wheel=merged.wheel, record=record), require_gpu=require_gpu)
        with progress.step("gates", job.times):
            passed = gates.run_gates(merged, base=base, locked=job.base, target=job.target, rules=job.config.repair)
    made = job.keep(merged.wheel, record.grown(gates=passed, times=dict(job.times)))
    return _noted(made, trying.result(), require_gpu=require_gpu)


def smoked(job: Job, made: Made, *, require_gpu: bool, again: bool = False) -> Made:
    """Smoke-test a wheel unless that has been done, and keep the report in its record.

    Raises SmokeError when it does not work, and what ``smoke.smoke`` raises, which says nothing about the wheel.
    """
    if again or not _smoke_is_current(made.record, require_gpu=require_gpu):
        return _noted(made, _tried(job, made, require_gpu=require_gpu), require_gpu=require_gpu)
    progress.say(f"  smoke-tested already: passed, gpu: {_gpu(made.record)}")
    return made


def _tried(job: Job, made: Made, *, require_gpu: bool) -> _Trial:
    """Install the wheel from a served index of its own and let it compute."""
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
        report = smoke.smoke(candidate, log=log, require_gpu=require_gpu)
    return _Trial(report=report | {"checks_key": keys.of_modules(CODE)}, log=log)


def _noted(made: Made, trial: _Trial, *, require_gpu: bool) -> Made:
    """Put a smoke report into the record of its wheel; SmokeError when it is of a failure."""
    report = trial.report
    on_gpu = require_gpu or isinstance(report["gpu"], dict)  # what needs one starts nowhere else, whatever it reached
    record = made.record.grown(smoke=report, gpu_smoke=report if on_gpu else made.record.gpu_smoke)
    records.save(record, made.wheel)
    smoke.require_passed(report, log=trial.log)
    progress.say(f"  smoke test passed, gpu: {_gpu(record)}")
    return replace(made, record=record)


def _smoke_is_current(record: Record, *, require_gpu: bool) -> bool:
    """Whether the record's smoke report is of these bytes, of these checks, and on a GPU where one is asked for."""
    report, passed = (record.smoke, record.passed_smoke)
    if require_gpu:
        report, passed = record.gpu_smoke, record.passed_gpu_smoke
    return passed and (report or {}).get("checks_key") == keys.of_modules(CODE)


def _gpu(record: Record) -> str:
    gpu = (record.smoke or {}).get("gpu")
    return f"{gpu['name']}" if isinstance(gpu, dict) else f"{gpu}"
