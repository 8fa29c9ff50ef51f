"""The environment in which a wheel is tried: virtual, fresh, as a user's is, and made while other things go on."""

from __future__ import annotations

import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from packaging.requirements import Requirement

from tfwheel.checks.errors import GpuRequiredError
from tfwheel.system import interpreters
from tfwheel.system.errors import CommandError, DiskFullError
from tfwheel.system.processes import Programs, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from tfwheel.config.targets import Target

# A full wheel of 0.62 GB, its copy in pip's hands, and 2.1 GB installed (measured, TensorFlow 2.20.0).
ROOM_PER_BYTE = 5
INSTALL = ("-m", "pip", "install", "--no-input", "--progress-bar", "off")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment for one trial, in ``folder``, which is scratch and goes with it.

    All output goes to ``log``. ``gpus`` are those that must be used. ``making`` ends when it can be used, with the
    version of its pip; CommandError when it could not be made. ``programs`` are those that run there, and end with it.
    """

    folder: Path
    log: Path
    gpus: list[dict[str, str]]
    making: Future[str]
    programs: Programs

    def run(self, *words: str | Path) -> str:
        """Run its Python, isolated from this checkout, this process and the user's own packages."""
        return run([_python(self.folder), "-I", *words], cwd=self.folder, log=self.log, among=self.programs)

    def raise_disk_full(self, why: str) -> NoReturn:
        """DiskFullError for this environment."""
        message = f"the smoke test in {self.folder.parent} {why}"
        raise DiskFullError(message, remedy="Free some space, or set TMPDIR to a larger folder.")


@contextmanager
def made(
    target: Target, *, log: Path, size: int, requires: Sequence[str] = (), require_gpu: bool = False
) -> Iterator[Environment]:
    """An environment of a target's Python for as long as the block runs; a thread makes it, and the block may go on.

    ``size`` is that of all large wheels together that will be installed, in bytes. ``requires`` are requirements
    (PEP 508) to install beforehand, as a runtime has most of them: what pip cannot install of them is left to the
    installation of the wheel, which says why. Raises InterpreterMissingError, GpuRequiredError and DiskFullError
    before anything is done.
    """
    gpus = _gpus(target, require_gpu=require_gpu)
    interpreter = interpreters.find(target.python)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    programs = Programs()
    with tempfile.TemporaryDirectory(prefix="tfwheel-smoke-") as name, ThreadPoolExecutor(max_workers=1) as aside:
        folder = Path(name)
        run_there = partial(run, cwd=folder, log=log, among=programs)
        making = aside.submit(_make, folder, interpreter, applicable(requires, target.python), run_there)
        environment = Environment(folder=folder, log=log, gpus=gpus, making=making, programs=programs)
        try:
            _check_room(environment, size)
            yield environment
        finally:
            programs.end()


def applicable(requires: Sequence[str], python: str) -> list[str]:
    """The requirements that a Python (such as ``3.12``) on this machine has without any extra, markers left out."""
    values = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    found = []
    for requirement in map(Requirement, requires):
        if requirement.marker is None or requirement.marker.evaluate(values):
            requirement.marker = None
            found.append(str(requirement))
    return found


def host_gpus() -> list[dict[str, str]]:
    """Name and driver of each GPU that ``nvidia-smi`` lists; empty where there is none."""
    try:
        answer = run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    except CommandError:
        return []
    rows = [line.split(", ") for line in answer.splitlines()]
    return [{"name": row[0], "driver": row[1]} for row in rows if len(row) > 1]


def _gpus(target: Target, *, require_gpu: bool) -> list[dict[str, str]]:
    gpus = host_gpus() if target.line.cuda else []
    if require_gpu and not gpus:
        why = "nvidia-smi lists no GPU" if target.line.cuda else f"the line {target.line.name} has no GPU code"
        message = f"{target.id}: a GPU is required, but {why}"
        raise GpuRequiredError(message)
    return gpus


def _make(folder: Path, interpreter: Path, requires: Sequence[str], run_there: Callable[..., str]) -> str:
    options = ["--quiet", "--no-periodic-update", "--app-data", folder / "app-data"]
    run_there([sys.executable, "-m", "virtualenv", *options, "--python", interpreter, folder / "venv"])
    python = _python(folder)
    if requires:
        with suppress(CommandError):  # politely: it has until the wheel is built, and the build has not
            run_there(["nice", python, "-I", *INSTALL, *requires])
    return run_there([python, "-I", "-m", "pip", "--version"]).split()[1]


def _python(folder: Path) -> Path:
    return folder / "venv" / "bin" / "python"


def _check_room(environment: Environment, size: int) -> None:
    needed, free = ROOM_PER_BYTE * size, shutil.disk_usage(environment.folder).free
    if free < needed:
        environment.raise_disk_full(f"needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")
