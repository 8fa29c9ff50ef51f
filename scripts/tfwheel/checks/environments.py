"""Make a fresh virtual environment for tests of a wheel, in the background."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from packaging.requirements import Requirement

from tfwheel.checks.errors import GpuRequiredError
from tfwheel.system import interpreters, scratch
from tfwheel.system.errors import CommandError, DiskFullError
from tfwheel.system.processes import Programs, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from tfwheel.config.targets import Target

# Bytes on disk per byte of wheel: 0.62 GB for the wheel, as much for pip's copy, and 2.1 GB installed (measured with
# TensorFlow 2.20.0).
ROOM_PER_BYTE = 5
INSTALL = ("-m", "pip", "install", "--no-input", "--progress-bar", "off")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment for one smoke run, in the scratch folder ``folder``.

    All output goes to ``log``. ``gpus`` are the GPUs that must be used. ``making`` is done when the environment is
    ready; its result is the version of pip, or CommandError if it could not be made. ``programs`` are the programs that
    run there.
    """

    folder: Path
    log: Path
    gpus: list[dict[str, str]]
    making: Future[str]
    programs: Programs

    def run(self, *words: str | Path) -> str:
        """Run the environment's Python, isolated from this checkout and the user's own packages; raise CommandError."""
        return run([python_in(self.folder), "-I", *words], cwd=self.folder, log=self.log, among=self.programs)

    def put(self, program: Path, name: str = "") -> Path:
        """Copy a program into the environment, by default under its own name; return its path there."""
        copy = self.folder / (name or program.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(program, copy)
        return copy

    def taken(self, path: Path) -> Path:
        """Return the path on this machine of a file in ``folder`` that a program wrote; it may not have."""
        return path

    def installed(self, pattern: str) -> list[Path]:
        """Return the paths on this machine of the installed files that match a pattern below ``site-packages``."""
        return sorted((self.folder / "venv").glob(f"lib/python3*/site-packages/{pattern}"))

    def report(self, script: Path, answer: Path, *words: str | Path) -> dict[str, Any]:
        """Run a program that writes a report with the key ``passed`` to the file ``answer`` (JSON), and return it.

        Raises CommandError if there is no whole report, as where what it imports ends the process, be it with 0, and if
        the process fails after it passed.
        """
        answer.unlink(missing_ok=True)
        failure = None
        try:
            output = self.run("-X", "faulthandler", script, *words, "--json", answer)
        except CommandError as error:
            failure, output = error, error.output
        try:
            report: dict[str, Any] = json.loads(self.taken(answer).read_text(encoding="utf-8"))
            passed = report["passed"]
        except (OSError, ValueError, LookupError, TypeError) as error:  # no report, or none of ours
            message = f"`{script.name}` ended with exit code 0 before its report"
            raise failure or CommandError(message, output=output, returncode=0) from error
        if failure and passed:
            raise failure
        return report

    def raise_disk_full(self, why: str) -> NoReturn:
        """Raise DiskFullError for this environment."""
        message = f"the test in {self.folder.parent} {why}"
        raise DiskFullError(message, remedy="Free some space, or set TMPDIR to a larger folder.")


@contextmanager
def made(
    target: Target, *, log: Path, size: int, requires: Sequence[str] = (), require_gpu: bool = False
) -> Iterator[Environment]:
    """Yield an environment with a target's Python, which a thread makes while the block runs; delete it afterwards.

    ``size`` is the total size in bytes of all large wheels that will be installed. ``requires`` are requirements
    (PEP 508) to install in advance; if pip cannot install them, the installation of the wheel tries again and reports
    why. Raises InterpreterMissingError, GpuRequiredError or DiskFullError before the block runs.
    """
    gpus = gpus_for(target, require_gpu=require_gpu)
    interpreter = interpreters.find(target.python)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    programs = Programs()
    with scratch.folder("smoke") as folder, ThreadPoolExecutor(max_workers=1) as aside:
        run_there = partial(run, cwd=folder, log=log, among=programs)
        making = aside.submit(_make, folder, interpreter, applicable(requires, target.python), run_there)
        environment = Environment(folder=folder, log=log, gpus=gpus, making=making, programs=programs)
        try:
            _check_room(environment, size)
            yield environment
        finally:
            programs.end()


def applicable(requires: Sequence[str], python: str) -> list[str]:
    """Return the requirements that apply to a Python (such as ``3.12``) here without extras, without their markers."""
    values = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    found = []
    for requirement in map(Requirement, requires):
        if requirement.marker is None or requirement.marker.evaluate(values):
            requirement.marker = None
            found.append(str(requirement))
    return found


def host_gpus() -> list[dict[str, str]]:
    """Return name and driver of each GPU that ``nvidia-smi`` lists; empty without one."""
    try:
        answer = run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    except CommandError:
        return []
    rows = [line.split(", ") for line in answer.splitlines()]
    return [{"name": row[0], "driver": row[1]} for row in rows if len(row) > 1]


def gpus_for(target: Target, *, require_gpu: bool) -> list[dict[str, str]]:
    """Return the GPUs that a test of a target must use; GpuRequiredError if one is required and there is none."""
    gpus = host_gpus() if target.line.cuda else []
    if require_gpu and not gpus:
        why = "nvidia-smi lists no GPU" if target.line.cuda else f"the line {target.line.name} has no GPU code"
        message = f"{target.id}: a GPU is required, but {why}"
        raise GpuRequiredError(message)
    return gpus


def _make(folder: Path, interpreter: Path, requires: Sequence[str], run_there: Callable[..., str]) -> str:
    options = ["--quiet", "--no-periodic-update", "--app-data", folder / "app-data"]
    run_there([sys.executable, "-m", "virtualenv", *options, "--python", interpreter, folder / "venv"])
    python = python_in(folder)
    if requires:
        with suppress(CommandError):  # nice: this can wait until the wheel is built, the build cannot
            run_there(["nice", python, "-I", *INSTALL, *requires])
    return run_there([python, "-I", "-m", "pip", "--version"]).split()[1]


def python_in(folder: Path) -> Path:
    """Return the Python of the environment in a folder."""
    return folder / "venv" / "bin" / "python"


def _check_room(environment: Environment, size: int) -> None:
    needed, free = ROOM_PER_BYTE * size, shutil.disk_usage(environment.folder).free
    if free < needed:
        environment.raise_disk_full(f"needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")
