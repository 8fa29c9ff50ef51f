"""Does a wheel work for a user: an environment like theirs, pip, a served index, and checks that compute.

A failure of the wheel is part of the report, so that the record keeps it; ``require_passed`` raises it.
"""

from __future__ import annotations

import json
import shutil
import signal
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from tfwheel.checks import environments
from tfwheel.checks.errors import SmokeError
from tfwheel.config import gpu_support
from tfwheel.gpu import code_inventory
from tfwheel.system import console
from tfwheel.system.errors import CommandError
from tfwheel.system.sources import program

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.checks.environments import Environment
    from tfwheel.config.targets import Target
    from tfwheel.wheel.records import Record

OPS_PACKAGE = "tfwheel_ops"


@dataclass(frozen=True, kw_only=True)
class WheelUnderTest:
    """A wheel to try, and where pip finds it.

    ``index_url`` is the served sub-index that lists it. A wheel that only adds to TensorFlow is tried beside the
    wheel ``official``, or beside the one on the user's ordinary index where that is None.
    """

    target: Target
    record: Record
    wheel: Path
    index_url: str
    official: Path | None = None

    def requirements(self, *, extra: str) -> list[str]:
        """What pip is asked for: exact pins only; ``extra`` ("" or "[and-cuda]") is TensorFlow's."""
        pin = f"=={self.record.version}"
        if self.record.project == "tensorflow":
            return [f"tensorflow{extra}{pin}"]
        official = (
            f"{self.official.resolve()}{extra}" if self.official else f"tensorflow{extra}=={self.target.tensorflow}"
        )
        return [official, f"{self.record.project}{pin}"]


@dataclass(frozen=True, kw_only=True)
class SmokeRun:
    """One smoke run, and what has been measured so far."""

    candidate: WheelUnderTest
    environment: Environment
    times: dict[str, float] = field(default_factory=dict)


def smoke(candidate: WheelUnderTest, environment: Environment) -> dict[str, Any]:
    """Install a wheel as a user would and let it compute; returns the report for its record, passed or not.

    Where the environment has a GPU to use, it gets the CUDA libraries (``[and-cuda]``) and everything runs on the GPU
    too. Raises DiskFullError, which says nothing about the wheel.
    """
    trial = SmokeRun(candidate=candidate, environment=environment)
    report: dict[str, Any] = {"passed": False, "reason": None, "gpu": "not reached", "checks": []}
    try:
        with console.step("smoke: environment", trial.times):
            report["client"] = f"pip {environment.making.result()}"
        with console.step("smoke: install", trial.times):
            _install(trial)
        with console.step("smoke: checks", trial.times):
            report |= _check(trial)
    except CommandError as error:
        if "No space left on device" in error.output:
            environment.raise_disk_full("ran out of space")
        report["reason"] = reason_of(error)
    except SmokeError as error:
        report["reason"] = error.message
    return report | {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "evidence": "run on a GPU" if isinstance(report["gpu"], dict) else "not run on a GPU",
        "wheel_sha256": candidate.record.sha256,
        "times": dict(trial.times),
    }


def require_passed(report: dict[str, Any], *, log: Path) -> None:
    """Raise SmokeError, with the reason in one line, unless the report is of a run that passed."""
    if not report["passed"]:
        message = f"smoke test failed: {report['reason']} (log: {log})"
        raise SmokeError(message)


def reason_of(error: CommandError) -> str:
    """One line for a program that failed: the signal and the check it fell in, pip's own error, or its last line."""
    lines = [line.strip() for line in error.output.splitlines() if line.strip()]
    checks = [line.removesuffix(" ...") for line in lines if line.startswith("check ") and line.endswith(" ...")]
    where = f" in the {checks[-1]}" if checks else ""
    if error.returncode and error.returncode < 0:
        number = -error.returncode
        return f"crashed{where}: {signal.Signals(number).name} ({signal.strsignal(number)})"
    if any(line.startswith("Timeout (") for line in lines):
        return f"timed out{where}"
    complaints = [line for line in lines if line.startswith("ERROR: ")]
    return (complaints or lines or [error.message.splitlines()[0]])[-1]


def _install(trial: SmokeRun) -> None:
    """Install the exact pin, and prove that what was installed is the candidate and fits what it came with.

    ``--no-compile`` because compiling 13,000 Python files, of which few are imported, takes longer than the checks.
    """
    environment, record = trial.environment, trial.candidate.record
    wanted = trial.candidate.requirements(extra="[and-cuda]" if environment.gpus else "")
    report = environment.folder / "install.json"
    options: list[str | Path] = ["--no-compile", "--report", report, "--extra-index-url", trial.candidate.index_url]
    environment.run(*environments.INSTALL, *options, *wanted)
    hashes = {
        canonicalize_name(item["metadata"]["name"]): item["download_info"].get("archive_info", {}).get("hashes", {})
        for item in json.loads(report.read_text(encoding="utf-8"))["install"]
    }
    found = hashes.get(canonicalize_name(record.project), {}).get("sha256")
    if found != record.sha256:
        message = f"pip installed another file: sha256 {found} instead of {record.sha256}"
        raise SmokeError(message)
    environment.run("-m", "pip", "check")


def _check(trial: SmokeRun) -> dict[str, Any]:
    """Run smoke_checks.py with the environment's Python and return its report."""
    record, environment = trial.candidate.record, trial.environment
    script, answer = environment.folder / "smoke_checks.py", environment.folder / "report.json"
    shutil.copyfile(program("checks.smoke_checks"), script)
    words = ["--project", record.project, "--version", record.version]
    words += ["--tensorflow", trial.candidate.target.tensorflow, "--json", str(answer)]
    words += ["--ops"] if _brings_ops(trial.candidate.wheel) else []
    words += ["--expect-gpu"] if environment.gpus else []
    try:
        environment.run("-X", "faulthandler", script, *words)
    except CommandError:
        if not answer.exists():
            raise
    report: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    if isinstance(report["gpu"], dict) and environment.gpus:
        report["gpu"] |= {"driver": environment.gpus[0]["driver"]} | _runs(
            environment, report["gpu"]["compute_capability"]
        )
    return report


def _runs(environment: Environment, capability: str) -> dict[str, Any]:
    """What is in the installed libraries, by kind of GPU code, and what of it this GPU runs."""
    major, _, minor = capability.partition(".")
    libraries = (environment.folder / "venv").glob("lib/python3*/site-packages/tensorflow/libtensorflow_*.so.2")
    images = code_inventory.images_of(sorted(libraries))
    runs = {family: gpu_support.fit(found, (int(major), int(minor or 0))) for family, found in images.items()}
    return {"images": {family: list(found) for family, found in images.items()}, "runs": runs}


def _brings_ops(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        return any(name.startswith(f"{OPS_PACKAGE}/") for name in archive.namelist())
