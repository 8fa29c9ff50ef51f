"""Smoke-test a wheel: install it with pip from a served index into a fresh environment, and let it compute.

A failure of the wheel goes into the report, and so into the record; ``require_passed`` raises it.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from tfwheel.checks import environments, ops_trial
from tfwheel.checks.errors import SmokeError
from tfwheel.checks.ops_trial import OpsUnderTest
from tfwheel.config import gpu_support
from tfwheel.config.targets import is_core
from tfwheel.gpu import code_inventory
from tfwheel.system import console
from tfwheel.system.errors import CommandError
from tfwheel.system.sources import program

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.checks.environments import Environment
    from tfwheel.config.targets import Target
    from tfwheel.wheel.records import Record


@dataclass(frozen=True, kw_only=True)
class WheelUnderTest:
    """A wheel to test, and the index from which pip installs it.

    ``index_url`` is the served sub-index that lists it. A wheel that only adds to TensorFlow is tested with the wheel
    ``official``, or, if that is None, with the one on pip's configured index. ``ops`` are the ops that it brings.
    """

    target: Target
    record: Record
    wheel: Path
    index_url: str
    official: Path | None = None
    ops: OpsUnderTest = field(default_factory=OpsUnderTest)

    def requirements(self, *, extra: str) -> list[str]:
        """Return the requirements for pip, all exact pins; ``extra`` ("" or "[and-cuda]") is TensorFlow's."""
        pin = f"=={self.record.version}"
        if self.record.project == "tensorflow":
            return [f"tensorflow{extra}{pin}"]
        official = (
            f"{self.official.resolve()}{extra}" if self.official else f"tensorflow{extra}=={self.target.tensorflow}"
        )
        return [official, f"{self.record.project}{pin}"]


@dataclass(frozen=True, kw_only=True)
class SmokeRun:
    """One smoke run and its times so far, in seconds by step."""

    under_test: WheelUnderTest
    environment: Environment
    times: dict[str, float] = field(default_factory=dict)


def smoke(under_test: WheelUnderTest, environment: Environment) -> dict[str, Any]:
    """Install a wheel as a user would and let it compute; return the report for its record, passed or not.

    If the environment has a GPU, it gets the CUDA libraries (``[and-cuda]``), and every check runs on the GPU, too.
    Raises DiskFullError, which is no fault of the wheel.
    """
    smoke_run = SmokeRun(under_test=under_test, environment=environment)
    report: dict[str, Any] = {"passed": False, "reason": None, "gpu": "not reached", "checks": []}
    try:
        with console.step("smoke: environment", smoke_run.times):
            report["client"] = f"pip {environment.making.result()}"
        with console.step("smoke: install", smoke_run.times):
            _install(smoke_run)
        with console.step("smoke: checks", smoke_run.times):
            report |= _check(smoke_run)
        if smoke_run.under_test.ops.packages and report.get("tensorflow"):
            with console.step("smoke: custom ops", smoke_run.times):
                _check_ops(smoke_run, report)
    except CommandError as error:
        if "No space left on device" in error.output:
            environment.raise_disk_full("ran out of space")
        report |= {"passed": False, "reason": report["reason"] or reason_of(error)}
    except SmokeError as error:
        report |= {"passed": False, "reason": report["reason"] or error.message}
    return report | {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "evidence": "run on a GPU" if isinstance(report["gpu"], dict) else "not run on a GPU",
        "wheel_sha256": under_test.record.sha256,
        "times": dict(smoke_run.times),
    }


def require_passed(report: dict[str, Any], *, log: Path) -> None:
    """Raise SmokeError, with the reason in one line, unless the run of this report passed."""
    if not report["passed"]:
        message = f"smoke test failed: {report['reason']} (log: {log})"
        raise SmokeError(message)


def reason_of(error: CommandError) -> str:
    """Return one line about a failed program: how it ended and the running check, pip's error, or its last line."""
    lines = [line.strip() for line in error.output.splitlines() if line.strip()]
    numbers = [number for number, line in enumerate(lines) if line.startswith("check ") and line.endswith(" ...")]
    said = lines[numbers[-1] :] if numbers else []
    check = said[0].removesuffix(" ...") if said else ""
    over = any(line.startswith(f"{check}: ") for line in said)
    where = f" {'after' if over else 'in'} the {check}" if check else ""
    if error.returncode and error.returncode < 0:
        number = -error.returncode
        return f"crashed{where}: {signal.Signals(number).name} ({signal.strsignal(number)})"
    if any(line.startswith("Timeout (") for line in lines):
        return f"timed out{where}"
    if over:
        return f"the process ended with exit code {error.returncode}{where}"
    if check:
        last = f": {said[-1]}" if said[1:] else ""
        name = check.removeprefix("check ")
        return f"{name} ended the process with exit code {error.returncode} before its report{last}"
    complaints = [line for line in lines if line.startswith("ERROR: ")]
    return (complaints or lines or [error.message.splitlines()[0]])[-1]


def _install(smoke_run: SmokeRun) -> None:
    """Install the exact pin; raise SmokeError if pip took another file, CommandError if ``pip check`` fails.

    Uses ``--no-compile``: compiling 13,000 Python files, few of which are imported, takes longer than the checks.
    """
    environment, record = smoke_run.environment, smoke_run.under_test.record
    wanted = smoke_run.under_test.requirements(extra="[and-cuda]" if environment.gpus else "")
    report = environment.folder / "install.json"
    options: list[str | Path] = [
        "--no-compile",
        "--report",
        report,
        "--extra-index-url",
        smoke_run.under_test.index_url,
    ]
    environment.run(*environments.INSTALL, *options, *wanted)
    found = _installed(environment.taken(report)).get(canonicalize_name(record.project), {}).get("sha256")
    if found != record.sha256:
        message = f"pip installed another file: sha256 {found} instead of {record.sha256}"
        raise SmokeError(message)
    environment.run("-m", "pip", "check")


def _installed(report: Path) -> dict[str, dict[str, str]]:
    """Return the hashes of what pip installed, by project; SmokeError if its installation report is none."""
    try:
        return {
            canonicalize_name(item["metadata"]["name"]): item["download_info"].get("archive_info", {}).get("hashes", {})
            for item in json.loads(report.read_text(encoding="utf-8"))["install"]
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        message = f"pip wrote no report of what it installed: {type(error).__name__}"
        raise SmokeError(message) from error


def _check(smoke_run: SmokeRun) -> dict[str, Any]:
    """Run smoke_checks.py with the environment's Python and return its report."""
    record, environment = smoke_run.under_test.record, smoke_run.environment
    script = environment.put(program("checks.smoke_checks"))
    words = ["--project", record.project, "--version", record.version]
    words += ["--tensorflow", smoke_run.under_test.target.tensorflow]
    words += ["--expect-gpu"] if environment.gpus else []
    report = environment.report(script, environment.folder / "report.json", *words)
    if isinstance(report.get("gpu"), dict) and environment.gpus:
        report["gpu"] |= {"driver": environment.gpus[0]["driver"]} | _runs(
            environment, report["gpu"]["compute_capability"]
        )
    return report


def _check_ops(smoke_run: SmokeRun, report: dict[str, Any]) -> None:
    """Try the ops of the wheel, and add what was found to its report."""
    found = ops_trial.run(smoke_run.under_test.ops, smoke_run.environment)
    report["checks"] += found["checks"]
    report["ops"] = found["ops"]
    report["reason"] = report["reason"] or found["reason"]
    report["passed"] = report["passed"] and found["reason"] is None


def _runs(environment: Environment, capability: str) -> dict[str, Any]:
    """Return the images in the installed libraries by kind of GPU code, and what this GPU runs of them."""
    major, _, minor = capability.partition(".")
    libraries = [path for path in environment.installed("tensorflow/libtensorflow_*") if is_core(path.name)]
    images = code_inventory.merged(code_inventory.read(library).by_kind for library in libraries)
    runs = gpu_support.runs(images, (int(major), int(minor or 0)))
    return {
        "images": {kind: list(found) for kind, found in images.items()},
        "runs": {kind: runs[kind] for kind in images},
    }
