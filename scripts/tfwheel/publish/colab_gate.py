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
    """
    judge = Judge.load(settings.directory)
    for version, line in dict.fromkeys((entry.version, entry.line) for entry in entries):
        ours = [entry for entry in entries if (entry.version, entry.line) == (version, line)]
        given = [fit_of_index.of_entry(entry, judge.known, settings.lines) for entry in ours]
        targets = [one for one in plan.targets(settings) if (one.version, one.line.name) == (version, line)]
        there = {wheel.pythons for wheel in given}
        rest = [wheel for wheel in _planned(targets, settings, judge) if wheel.pythons not in there]
        _check(version, line, [*given, *rest], settings, judge)


def check_targets(targets: Sequence[Target], settings: Config) -> None:
    """Judge a version by its targets, before any of its wheels is at hand; raises and warns like ``check``."""
    judge = Judge.load(settings.directory)
    for version, line in dict.fromkeys((target.version, target.line.name) for target in targets):
        ours = [target for target in targets if (target.version, target.line.name) == (version, line)]
        _check(version, line, list(_planned(ours, settings, judge)), settings, judge)


def _planned(targets: Sequence[Target], settings: Config, judge: Judge) -> Iterator[WheelFacts]:
    yield from filter(None, (wheel_facts.planned(settings, target, judge.known) for target in targets))


def _check(version: str, line: str, wheels: Sequence[WheelFacts], settings: Config, judge: Judge) -> None:
    rule = settings.index.colab_rule(line, version.partition("+")[0])
    live = {runtime.name for runtime in judge.runtimes if runtime.live}
    if not live or not wheels or rule is False:
        return
    fits = [judge.of(wheel) for wheel in wheels]
    if any(one.verdict != BREAKS for by_name in fits for name, one in by_name.items() if name in live):
        return
    message = f"{version} on the line {line} breaks every runtime of Colab that is known here: {_why(fits)}"
    if rule is True:
        raise ColabFitError(message)
    console.warn(message)


def _why(fits: Sequence[dict[str, Fit]]) -> str:
    """Return the first reason in each runtime that has a Python of one of the wheels."""
    found: dict[str, str] = {}
    for by_name in fits:
        for name, one in by_name.items():
            if one.installable:
                found.setdefault(name, one.broken[0])
    return " ".join(f"In {name}: {reason}" for name, reason in found.items()) or "none has a Python that it is for."
