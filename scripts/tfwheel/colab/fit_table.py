"""Judge many wheels in many runtimes, and show it: a table with reasons for people, JSON for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tfwheel.colab import distributions, fit, runtimes, wheel_facts
from tfwheel.config import gpu_support, plan
from tfwheel.config.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.fit import Fit
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.colab.wheel_facts import WheelFacts
    from tfwheel.config.build_config import Config
    from tfwheel.config.gpu_support import Gpu

OTHER_PYTHON = "other Python"
SHOWN = 4  # reasons of one kind below a table, for one wheel in one runtime


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Everything that a judgement needs besides the wheel."""

    runtimes: tuple[Runtime, ...]
    known: Distributions
    gpus: tuple[Gpu, ...] = ()
    _judged: dict[str, dict[str, Fit]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def load(cls, directory: Path) -> Judge:
        """Read it from a folder such as ``build_config/``; without runtimes there, nothing is judged."""
        folder = directory / "colab"
        return cls(
            runtimes=runtimes.load(folder) if (folder / "runtimes.toml").exists() else (),
            known=distributions.load(folder),
            gpus=gpu_support.of_colab(gpu_support.load(directory)) if (directory / "gpus.toml").is_file() else (),
        )

    def of(self, wheel: WheelFacts) -> dict[str, Fit]:
        """Return the judgement about a wheel by the name of the runtime; that about a rebuild of it is the same."""
        key = repr(replace(wheel, version=wheel.public))
        if key not in self._judged:
            found = {runtime.name: fit.judge(wheel, runtime, self.known, self.gpus) for runtime in self.runtimes}
            self._judged[key] = found
        return self._judged[key]

    def faults(self) -> dict[str, tuple[str, ...]]:
        """Return what is wrong in each runtime without any wheel of ours."""
        return {runtime.name: fit.faults(runtime, self.known) for runtime in self.runtimes}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One wheel by a name for people, and the judgements about it by runtime."""

    name: str
    wheel: WheelFacts
    fits: dict[str, Fit]


def described(runtime: Runtime, known: Distributions) -> dict[str, Any]:
    """Return a runtime for JSON: its facts, its companions, and its faults.

    Companions are the installed distributions that require TensorFlow, with their versions.
    """
    return {
        "name": runtime.name,
        "date": runtime.date,
        "newest": runtime.newest,
        "python": runtime.python,
        "glibc": runtime.glibc,
        "cuda": runtime.cuda,
        "driver": runtime.driver,
        "cudnn": {source: runtime.cudnn.get(source) for source in ("apt", "pip")},
        "tensorflow": runtime.tensorflow,
        "companions": fit.companions(runtime, known),
        "faults": list(fit.faults(runtime, known)),
    }


def planned(config: Config, judge: Judge, *, line: str | None = None) -> list[Row]:
    """Return a row for each target whose official wheel is locked."""
    rows = []
    for target in plan.select(plan.targets(config), line=line):
        wheel = wheel_facts.planned(config, target, judge.known)
        if wheel:
            rows.append(Row(name=target.id, wheel=wheel, fits=judge.of(wheel)))
    return rows


def of_wheels(wheels: Iterable[tuple[str, WheelFacts]], judge: Judge) -> list[Row]:
    """Return a row for each wheel, by its name."""
    return [Row(name=name, wheel=wheel, fits=judge.of(wheel)) for name, wheel in wheels]


def text(rows: Sequence[Row], judge: Judge, *, nothing: str = "There is no wheel to judge.") -> str:
    """Return the table in Markdown, below it the reasons, and apart from them what is wrong without any wheel.

    ``nothing`` is what to say instead of a table without rows.
    """
    columns = ("wheel", "version", *(f"{one.name} (Python {one.python_minor})" for one in judge.runtimes))
    body = [[row.name, row.wheel.version, *(cell(row.fits[one.name]) for one in judge.runtimes)] for row in rows]
    newest = next((one for one in judge.runtimes if one.newest), None)
    head = f"The newest runtime known here is {newest.name}, of {newest.date}." if newest else "No runtime is known."
    parts = [head, markdown(columns, body) if rows else nothing]
    if why := "\n".join(_reasons(rows)):
        parts.append(f"Why (`--json` has every reason):\n\n{why}")
    if found := "\n".join(_faults(judge)):
        parts.append(f"Wrong in the runtimes as they are, without any wheel of this index:\n\n{found}")
    lacking = {one.name: ", ".join(fit.unknown(one, judge.known)) for one in judge.runtimes}
    if lines := "\n".join(f"- {name}: {names}" for name, names in lacking.items() if names):
        parts.append(f"Not judged, for what they require is not known (`nox -s update-distributions`):\n\n{lines}")
    return "\n\n".join(parts)


def as_json(rows: Sequence[Row], judge: Judge) -> str:
    """Return all of it as JSON."""
    found: dict[str, Any] = {
        "data": {"date": judge.known.date, "source": judge.known.source},
        "runtimes": [described(one, judge.known) for one in judge.runtimes],
        "wheels": [
            {
                "name": row.name,
                "project": row.wheel.project,
                "version": row.wheel.version,
                "fit": {
                    name: one.plain() | {"breaks": list(one.broken), "notes": list(one.notes)}
                    for name, one in row.fits.items()
                },
            }
            for row in rows
        ],
    }
    return json.dumps(found, indent=2)


def cell(one: Fit) -> str:
    """Return the verdict in a few words, for a cell of a table."""
    return one.words if one.installable else OTHER_PYTHON if "for Python" in one.broken[0] else one.words


def _reasons(rows: Sequence[Row]) -> list[str]:
    """Return a line for each set of reasons, with all wheels and runtimes that it is about."""
    together: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[Fit, list[str]]] = {}
    for row in rows:
        named: dict[tuple[str, ...], list[str]] = {}
        for name, one in row.fits.items():
            if one.reasons and cell(one) != OTHER_PYTHON:
                named.setdefault(one.reasons, []).append(name)
        for reasons, names in named.items():
            together.setdefault((tuple(names), reasons), (row.fits[names[0]], []))[1].append(row.name)
    return [
        f"- {', '.join(wheels)} in {', '.join(where)}: {_told(one)}" for (where, _), (one, wheels) in together.items()
    ]


def _told(one: Fit) -> str:
    """Return the reasons in words: what breaks, then what changes, each after its number; of many the first."""
    broken = _counted(fit.BREAKS, one.broken)
    changed = _counted(f"Also {fit.CHANGES}" if one.broken else fit.CHANGES, one.changed)
    return " ".join(filter(None, (broken, changed)))


def _counted(words: str, reasons: Sequence[str]) -> str:
    more = f" And {len(reasons) - SHOWN} more." if len(reasons) > SHOWN else ""
    return f"{words} {len(reasons)}: {' '.join(reasons[:SHOWN])}{more}" if reasons else ""


def _faults(judge: Judge) -> list[str]:
    return [f"- {name}: {' '.join(found)}" for name, found in judge.faults().items() if found]
