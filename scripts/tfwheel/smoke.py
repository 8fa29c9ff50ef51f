"""Does a wheel work for a user: a fresh environment, pip, a served index, and checks that compute.

A failure of the wheel is part of the report, so that the record keeps it; ``require_passed`` raises it.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from packaging.utils import canonicalize_name

from tfwheel import families, gpufit, interpreters, progress
from tfwheel.errors import CommandError, DiskFullError, GpuRequiredError, SmokeError
from tfwheel.run import run

if TYPE_CHECKING:
    from tfwheel.records import Record
    from tfwheel.targets import Target

OPS_PACKAGE = "tfwheel_ops"
# A full wheel of 0.62 GB, its copy in pip's hands, and 2.1 GB installed (measured, TensorFlow 2.20.0).
ROOM_PER_BYTE = 5


@dataclass(frozen=True, kw_only=True)
class Candidate:
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
class Trial:
    """One smoke run: its environment (``folder``), the GPUs it must use, and what has been measured so far."""

    candidate: Candidate
    log: Path
    folder: Path
    gpus: list[dict[str, str]]
    times: dict[str, float] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The interpreter of the environment under test."""
        return self.folder / "venv" / "bin" / "python"

    def run(self, *words: str | Path) -> str:
        """Run the environment's Python, isolated from this checkout, this process and the user's own packages."""
        return run([self.python, "-I", *words], cwd=self.folder, log=self.log)


def smoke(candidate: Candidate, *, log: Path, require_gpu: bool = False) -> dict[str, Any]:
    """Install a wheel as a user would and let it compute; returns the report for its record, passed or not.

    Where ``nvidia-smi`` lists a GPU and the line has GPU code, the environment gets the CUDA libraries
    (``[and-cuda]``) and everything runs on the GPU too. All output goes to ``log``. Raises InterpreterMissingError,
    GpuRequiredError and DiskFullError, which say nothing about the wheel.
    """
    target = candidate.target
    gpus = host_gpus() if target.line.cuda else []
    if require_gpu and not gpus:
        why = "nvidia-smi lists no GPU" if target.line.cuda else f"the line {target.line.name} has no GPU code"
        message = f"{target.id}: a GPU is required, but {why}"
        raise GpuRequiredError(message)
    interpreter = interpreters.find(target.python)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="tfwheel-smoke-") as name:
        trial = Trial(candidate=candidate, log=log, folder=Path(name), gpus=gpus)
        _check_room(trial)
        return _try(trial, interpreter)


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


def host_gpus() -> list[dict[str, str]]:
    """Name and driver of each GPU that ``nvidia-smi`` lists; empty where there is none."""
    try:
        answer = run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    except CommandError:
        return []
    rows = [line.split(", ") for line in answer.splitlines()]
    return [{"name": row[0], "driver": row[1]} for row in rows if len(row) > 1]


def _try(trial: Trial, interpreter: Path) -> dict[str, Any]:
    report: dict[str, Any] = {"passed": False, "reason": None, "gpu": "not reached", "checks": []}
    try:
        with progress.step("smoke: environment", trial.times):
            _make_environment(trial, interpreter)
            report["client"] = "pip " + trial.run("-m", "pip", "--version").split()[1]
        with progress.step("smoke: install", trial.times):
            _install(trial)
        with progress.step("smoke: checks", trial.times):
            report |= _check(trial)
    except CommandError as error:
        if "No space left on device" in error.output:
            _raise_disk_full(trial, "ran out of space")
        report["reason"] = reason_of(error)
    except SmokeError as error:
        report["reason"] = error.message
    return report | {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "evidence": "run on a GPU" if isinstance(report["gpu"], dict) else "not run on a GPU",
        "wheel_sha256": trial.candidate.record.sha256,
        "times": dict(trial.times),
    }


def _make_environment(trial: Trial, interpreter: Path) -> None:
    options = ["--quiet", "--no-periodic-update", "--app-data", str(trial.folder / "app-data")]
    options += ["--python", str(interpreter), str(trial.folder / "venv")]
    run([sys.executable, "-m", "virtualenv", *options], cwd=trial.folder, log=trial.log)


def _install(trial: Trial) -> None:
    """Install the exact pin, and prove that what was installed is the candidate and fits what it came with.

    ``--no-compile`` because compiling 13,000 Python files, of which few are imported, takes longer than the checks.
    """
    record = trial.candidate.record
    wanted = trial.candidate.requirements(extra="[and-cuda]" if trial.gpus else "")
    report = trial.folder / "install.json"
    options = ["--no-input", "--progress-bar", "off", "--no-compile", "--report", str(report)]
    trial.run("-m", "pip", "install", *options, "--extra-index-url", trial.candidate.index_url, *wanted)
    hashes = {
        canonicalize_name(item["metadata"]["name"]): item["download_info"].get("archive_info", {}).get("hashes", {})
        for item in json.loads(report.read_text(encoding="utf-8"))["install"]
    }
    found = hashes.get(canonicalize_name(record.project), {}).get("sha256")
    if found != record.sha256:
        message = f"pip installed another file: sha256 {found} instead of {record.sha256}"
        raise SmokeError(message)
    trial.run("-m", "pip", "check")


def _check(trial: Trial) -> dict[str, Any]:
    """Run smoke_checks.py with the environment's Python and return its report."""
    record = trial.candidate.record
    script, answer = trial.folder / "smoke_checks.py", trial.folder / "report.json"
    shutil.copyfile(Path(__file__).with_name(script.name), script)
    words = ["--project", record.project, "--version", record.version]
    words += ["--tensorflow", trial.candidate.target.tensorflow, "--json", str(answer)]
    words += ["--ops"] if _brings_ops(trial.candidate.wheel) else []
    words += ["--expect-gpu"] if trial.gpus else []
    try:
        trial.run("-X", "faulthandler", script, *words)
    except CommandError:
        if not answer.exists():
            raise
    report: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    if isinstance(report["gpu"], dict) and trial.gpus:
        report["gpu"] |= {"driver": trial.gpus[0]["driver"]} | _runs(trial, report["gpu"]["compute_capability"])
    return report


def _runs(trial: Trial, capability: str) -> dict[str, Any]:
    """What is in the installed libraries, by kind of GPU code, and what of it this GPU runs."""
    major, _, minor = capability.partition(".")
    libraries = (trial.folder / "venv").glob("lib/python3*/site-packages/tensorflow/libtensorflow_*.so.2")
    images = families.images_of(sorted(libraries))
    runs = {family: gpufit.fit(found, (int(major), int(minor or 0))) for family, found in images.items()}
    return {"images": {family: list(found) for family, found in images.items()}, "runs": runs}


def _brings_ops(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        return any(name.startswith(f"{OPS_PACKAGE}/") for name in archive.namelist())


def _check_room(trial: Trial) -> None:
    wheels = [wheel for wheel in (trial.candidate.wheel, trial.candidate.official) if wheel]
    needed = ROOM_PER_BYTE * sum(wheel.stat().st_size for wheel in wheels)
    free = shutil.disk_usage(trial.folder).free
    if free < needed:
        _raise_disk_full(trial, f"needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")


def _raise_disk_full(trial: Trial, why: str) -> NoReturn:
    message = f"{trial.candidate.target.id}: the smoke test in {trial.folder.parent} {why}"
    raise DiskFullError(message, remedy="Free some space, or set TMPDIR to a larger folder.")
