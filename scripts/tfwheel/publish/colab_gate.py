"""Refuse to publish a version that breaks every runtime of Colab, on the lines that are for Colab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.colab import wheel_facts
from tfwheel.colab.fit import BREAKS
from tfwheel.colab.fit_table import Judge
from tfwheel.config import plan
from tfwheel.index import fit_of_index
from tfwheel.publish.errors import ColabFitError
from tfwheel.system import console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfwheel.colab.fit import Fit
    from tfwheel.colab.wheel_facts import WheelFacts
    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Target
    from tfwheel.index.ledger_entry import LedgerEntry


def check(entries: Sequence[LedgerEntry], settings: Config) -> None:
    """Judge the versions of these entries; raise ColabFitError, or warn, as ``index.toml`` says for their lines.

    A version passes if one of its wheels breaks nothing in one live runtime. Its wheels are these, and those that the
    configuration makes for other Pythons: each Python is for other runtimes, and all are published as one version.
    None of these passes on the merits of others alone: see ``_fault_of_its_own``.
    """
    judge = Judge.load(settings.directory)
    for version, line in dict.fromkeys((entry.version, entry.line) for entry in entries):
        ours = [entry for entry in entries if (entry.version, entry.line) == (version, line)]
        given = [fit_of_index.of_entry(entry, judge.known, settings.lines) for entry in ours]
        targets = [one for one in plan.targets(settings) if (one.version, one.line.name) == (version, line)]
        there = {wheel.pythons for wheel in given}
        planned = list(_planned(targets, settings, judge))
        rest = [wheel for wheel in planned if wheel.pythons not in there]
        _check(version, line, [*given, *rest], settings, judge)
        for entry, wheel in zip(ours, given, strict=True):
            twins = [one for one in planned if one.pythons == wheel.pythons]
            if found := _fault_of_its_own(wheel, twins, judge):
                _refuse(f"{entry.file} breaks every runtime of Colab with its Python: {found}", version, line, settings)


def check_targets(targets: Sequence[Target], settings: Config) -> None:
    """Judge a version by its targets, before any of its wheels is at hand; raises and warns like ``check``."""
    judge = Judge.load(settings.directory)
    for version, line in dict.fromkeys((target.version, target.line.name) for target in targets):
        ours = [target for target in targets if (target.version, target.line.name) == (version, line)]
        _check(version, line, list(_planned(ours, settings, judge)), settings, judge)


def _planned(targets: Sequence[Target], settings: Config, judge: Judge) -> Iterator[WheelFacts]:
    yield from filter(None, (wheel_facts.planned(settings, target, judge.known) for target in targets))


def _check(version: str, line: str, wheels: Sequence[WheelFacts], settings: Config, judge: Judge) -> None:
    fits = [_live(wheel, judge) for wheel in wheels]
    if not any(fits) or any(one.verdict != BREAKS for by_name in fits for one in by_name.values()):
        return
    message = f"{version} on the line {line} breaks every runtime of Colab that is known here: {_why(fits)}"
    _refuse(message, version, line, settings)


def _fault_of_its_own(wheel: WheelFacts, planned: Sequence[WheelFacts], judge: Judge) -> str | None:
    """Return why a wheel is refused whatever the others of its version do; None if it is not.

    It breaks every live runtime with its Python, and that is not for the runtimes alone: its requirements contradict
    each other or the index in all of them, or the wheel that the configuration makes for this Python breaks less.
    """
    here = _at_home(wheel, judge)
    if not here or any(one.verdict != BREAKS for one in here.values()):
        return None
    better = any(one.verdict != BREAKS for twin in planned for one in _at_home(twin, judge).values())
    if better or not any(one.satisfiable for one in here.values()):
        return " ".join(f"In {name}: {one.broken[0]}" for name, one in here.items())
    return None


def _live(wheel: WheelFacts, judge: Judge) -> dict[str, Fit]:
    """Return the judgements about a wheel in the runtimes that users can choose."""
    live = {runtime.name for runtime in judge.runtimes if runtime.live}
    return {name: one for name, one in judge.of(wheel).items() if name in live}


def _at_home(wheel: WheelFacts, judge: Judge) -> dict[str, Fit]:
    """Return the judgements about a wheel in the live runtimes that have a Python of it."""
    pythons = {runtime.name: runtime.python_minor for runtime in judge.runtimes}
    found = _live(wheel, judge)
    return {name: one for name, one in found.items() if not wheel.pythons or pythons[name] in wheel.pythons}


def _refuse(message: str, version: str, line: str, settings: Config) -> None:
    """Raise ColabFitError, or warn, or do nothing, as the settings say for a version on a line."""
    rule = settings.index.colab_rule(line, version.partition("+")[0])
    if rule is True:
        raise ColabFitError(message)
    if rule:
        console.warn(message)


def _why(fits: Sequence[dict[str, Fit]]) -> str:
    """Return the first reason in each runtime that has a Python of one of the wheels."""
    found: dict[str, str] = {}
    for by_name in fits:
        for name, one in by_name.items():
            if one.installable:
                found.setdefault(name, one.broken[0])
    return " ".join(f"In {name}: {reason}" for name, reason in found.items()) or "none has a Python that it is for."
