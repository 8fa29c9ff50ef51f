"""Installs a finished wheel with the documented commands, in each environment that a user of a runtime may have.

In the base environment with Colab's pip, with its constraints file, and with uv, and back to the official wheel; in a
virtual environment on top of it, and in an empty one. Each begins with a fresh copy of the runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imitation import state
from imitation import trial as trials
from imitation.state import Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from imitation.trial import Trial


def with_pip(trial: Trial, where: str) -> None:
    """Install with Colab's pip in the base environment, uninstall, and install the official wheel again."""
    _there_and_back(trial, where, trial.command, pip="pip", probes=trials.DEPENDENTS)


def with_uv(trial: Trial, where: str) -> None:
    """Do the same with uv."""
    line = trial.command.replace("pip install", "uv pip install --system", 1)
    _there_and_back(trial, where, line, pip="uv pip", probes=trials.QUICK)


def with_constraints(trial: Trial, where: str) -> None:
    """Install with pip and the constraints file of the runtime."""
    with trial.base() as place:
        before = trial.observe(place)
        with trial.timed(where):
            trial.enter(place, trial.command.replace("pip install", f"pip install -c {trial.constraints}", 1))
        trial.compare(where, before, trial.observe(place), version=trial.entry.version)


def in_virtual_environment(trial: Trial, where: str) -> None:
    """Install with pip into a virtual environment that sees the base environment, which stays as it is."""
    with trial.base() as base:
        folder = base.folder.with_name("venv")
        trial.enter(base, f"python -m venv --system-site-packages --without-pip {folder}")  # it sees the pip outside
        place = _inside(trial, base, folder)
        before, untouched = trial.observe(place, probes=trials.QUICK), state.files(base)
        with trial.timed(where):
            trial.enter(place, trial.command.replace("pip install", "python -m pip install", 1))
        after = trial.observe(place, probes=(*trials.QUICK, trials.OPS))
        trial.compare(where, before, after, version=trial.entry.version)
        trial.check_ops(where, after)
        trial.compare_files(where, "the base environment is as it was", untouched, state.files(base))


def in_empty_environment(trial: Trial, where: str) -> None:
    """Install with uv into an empty virtual environment, where all that TensorFlow needs is the newest."""
    with trial.base() as base:
        folder = base.folder.with_name("venv")
        trial.enter(base, f"uv venv --quiet --python {base.python} {folder}")
        place = _inside(trial, base, folder)
        with trial.timed(where):
            trial.enter(place, trial.command.replace("pip install", "uv pip install", 1))
        after = trial.observe(place, probes=(trials.PROJECT, trials.OPS))
        found = after.packages.get(trials.PROJECT, "nothing")
        trial.judge(where, f"tensorflow is {trial.entry.version}", holds=found == trial.entry.version, seen=found)
        seen = ", ".join(sorted(after.faults)) or "no fault"
        trial.judge(where, "pip check finds no fault", holds=not after.faults, seen=seen)
        works, said = after.works[trials.PROJECT]
        trial.judge(where, "tensorflow works", holds=works, seen=said)
        trial.check_ops(where, after)


ENVIRONMENTS: dict[str, Callable[[Trial, str], None]] = {
    "base environment, pip": with_pip,
    "base environment, pip with constraints": with_constraints,
    "base environment, uv": with_uv,
    "virtual environment on the base, pip": in_virtual_environment,
    "empty virtual environment, uv": in_empty_environment,
}


def _there_and_back(trial: Trial, where: str, line: str, *, pip: str, probes: tuple[str, ...]) -> None:
    """Install by a command in the base environment, uninstall, and install the version that was there before."""
    system = " --system" if pip == "uv pip" else " -y"
    with trial.base() as place:
        before = trial.observe(place, probes=probes)
        with trial.timed(where):
            trial.enter(place, line)
        after = trial.observe(place, probes=(*probes, trials.OPS))
        trial.compare(where, before, after, version=trial.entry.version)
        trial.check_ops(where, after)
        trial.works[where] = dict(before.works)
        trial.enter(place, f"{pip} uninstall{system} {trials.PROJECT}")
        bare = {path: size for path, size in before.files.items() if path not in before.owned}
        trial.compare_files(where, "uninstalling leaves nothing behind", bare, state.files(place))
        official = before.packages[trials.PROJECT]
        again = " --system" if pip == "uv pip" else ""
        with trial.timed(f"{where}, back to {official}"):
            trial.enter(place, f'{pip} install{again} "{trials.PROJECT}=={official}"')
        back = trial.observe(place, probes=trials.QUICK)
        trial.compare(f"{where}, back to {official}", before, back, version=official)
        trial.compare_files(f"{where}, back to {official}", "its files are the same", before.files, back.files)


def _inside(trial: Trial, base: Place, folder: Path) -> Place:
    """Return a virtual environment as its user has it, activated."""
    programs = folder / "bin"
    site = folder / "lib" / f"python{trial.original.minor}" / "site-packages"
    variables = {**base.variables, "VIRTUAL_ENV": str(folder), "PATH": f"{programs}:{base.variables['PATH']}"}
    pip = (*base.pip, "--python", programs / "python")
    return Place(folder=folder, python=programs / "python", site=site, variables=variables, pip=pip)
