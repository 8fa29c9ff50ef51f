"""Report what a newer runtime of Colab, and newer official TensorFlows, mean for the wheels of this index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.colab import drift, fit, fit_table
from tfwheel.colab.drift import Drift
from tfwheel.colab.fit import BREAKS
from tfwheel.config import plan
from tfwheel.config.tables import markdown, shown
from tfwheel.errors import UsageError
from tfwheel.index import fit_of_index
from tfwheel.index.errors import FitLostError, RuntimeChangedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfwheel.colab.fit import Fit
    from tfwheel.colab.fit_table import Judge
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.colab.wheel_facts import WheelFacts
    from tfwheel.config.build_config import Config
    from tfwheel.config.paths import Paths

TITLE = "Colab's runtime or the official TensorFlow changed"
LABEL = "runtime-watch"
NAMED = 3  # wheels in one sentence
STRANGE = "**Is this Colab?** It has no distribution `google-colab`, which each of Colab's runtimes has."


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One wheel, and how it fits the newest stored runtime and the newer one."""

    name: str
    before: Fit
    after: Fit

    @property
    def is_lost(self) -> bool:
        """Whether it fits the stored runtime and not the newer one."""
        return self.before.verdict != BREAKS and self.after.verdict == BREAKS


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The result: what differs, the wheels judged anew, what should be built, and new official versions by project.

    ``unknown`` are companions in the newer runtime whose requirements are not known. ``ready`` are planned wheels that
    break nothing there and are not published.
    """

    stored: Runtime
    newer: Runtime | None
    drift: Drift
    wheels: tuple[Judged, ...] = ()
    wish: str | None = None
    official: Mapping[str, Sequence[str]]
    published: bool = True
    unknown: tuple[str, ...] = ()
    ready: tuple[Judged, ...] = ()

    @property
    def lost(self) -> list[Judged]:
        """The wheels that fit no more."""
        return [one for one in self.wheels if one.is_lost]

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to report."""
        return self.drift.is_nothing and not self.lost and not self.official and not self.wish

    def check(self) -> None:
        """Raise FitLostError or RuntimeChangedError if there is something to report; the report says what."""
        if self.lost:
            count, names = len(self.lost), ", ".join(one.name for one in self.lost[:NAMED])
            fit_one = "1 wheel fits" if count == 1 else f"{count} wheels fit"
            more = f" and {count - NAMED} more" if count > NAMED else ""
            message = f"{fit_one} {self.stored.name} and not the newer runtime: {names}{more}"
            raise FitLostError(message)
        if not self.is_quiet:
            message = "Colab's runtime or the official TensorFlow changed; every wheel that fitted still does"
            raise RuntimeChangedError(message)

    @property
    def text(self) -> str:
        """The report in Markdown."""
        found = [*self._changes(), *self._fits(), *self._next(), *self._officials()] or ["Nothing changed."]
        strange = [STRANGE] if self.newer and not drift.looks_like_colab(self.newer) else []
        return "\n\n".join([*strange, *found]) + "\n"

    def _changes(self) -> list[str]:
        if self.newer is None or self.drift.is_nothing:
            return []
        rows = [[shown(one, in_table=True) for one in row] for row in (*self.drift.system, *self.drift.close)]
        head = f"## What changed since {self.stored.name} ({self.stored.date})"
        table = markdown(("what", self.stored.name, "newer"), rows) if rows else "Nothing near TensorFlow."
        return [head, table, f"{self.drift.others} other distributions changed, too."]

    def _fits(self) -> list[str]:
        if self.newer is None or not self.wheels or (self.drift.is_nothing and not self.lost):
            return []
        which = "Published wheels" if self.published else "Planned wheels (none is published)"
        rows = [[one.name, fit_table.cell(one.before), fit_table.cell(one.after)] for one in self.wheels]
        reasons = [f"- {one.name}: {shown(one.after.broken[0])}" for one in self.lost]
        stopped = ["### What stops fitting", "\n".join(reasons)] if reasons else []
        if self.unknown:
            words = f"Not judged, for what they require is not known: {', '.join(self.unknown)}. `--pypi` looks it up."
            stopped.append(words)
        return [f"## {which}", markdown(("wheel", f"in {self.stored.name}", "in the newer one"), rows), *stopped]

    def _next(self) -> list[str]:
        lines = [f"- {one.name}: {fit_table.cell(one.after)}" for one in self.ready if self.lost]
        if self.wish:
            words = "no target is for it. Add a `[[release]]`, or its Python, to build_config/targets.toml."
            lines.append(f"- {shown(self.wish)}: {words}")
        return ["## What to build next", "\n".join(lines)] if lines else []

    def _officials(self) -> list[str]:
        if not self.official:
            return []
        lines = [f"- {project} {', '.join(versions)}: {advice(project)}" for project, versions in self.official.items()]
        return ["## New official versions", "\n".join(lines)]


def look(
    config: Config, paths: Paths, judge: Judge, *, newer: Runtime | None, official: Mapping[str, Sequence[str]]
) -> Watch:
    """Compare and judge; ``newer`` is None where only the official versions are looked at.

    Where nothing is published, the planned wheels are judged. Raises UsageError if no runtime is stored, and the errors
    of reading the ledger.
    """
    stored = next((one for one in judge.runtimes if one.newest), None)
    if stored is None:
        message = f"{config.directory / 'colab'} has no runtime to compare with"
        raise UsageError(message, remedy="Add one to build_config/colab/runtimes.toml.")
    wheels = list(fit_of_index.published(paths, config))
    planned = [(row.name, row.wheel) for row in fit_table.planned(config, judge)]
    there = {(wheel.version, wheel.pythons) for _, wheel in wheels}
    rows, missing = wheels or planned, [row for row in planned if (row[1].version, row[1].pythons) not in there]
    targets = [(target.tensorflow, target.python) for target in plan.targets(config)]
    return Watch(
        stored=stored,
        newer=newer,
        drift=drift.compare(stored, newer, judge.known) if newer else Drift(),
        wheels=_judged(rows, judge, stored, newer),
        ready=tuple(one for one in _judged(missing, judge, stored, newer) if one.after.verdict != BREAKS),
        wish=drift.wished(newer, targets) if newer else None,
        official=official,
        published=bool(wheels),
        unknown=fit.unknown(newer, judge.known) if newer else (),
    )


def _judged(
    rows: Sequence[tuple[str, WheelFacts]], judge: Judge, stored: Runtime, newer: Runtime | None
) -> tuple[Judged, ...]:
    """Judge wheels in two runtimes; nothing without the second one."""
    if newer is None:
        return ()
    pairs = [
        (name, [fit.judge(wheel, runtime, judge.known, judge.gpus) for runtime in (stored, newer)])
        for name, wheel in rows
    ]
    return tuple(Judged(name=name, before=before, after=after) for name, (before, after) in pairs)


def advice(project: str) -> str:
    """Return what to do about new versions of an official build of TensorFlow."""
    if project.startswith("tf-nightly"):
        return "nightly builds, which are no base: candidates and final versions will follow."
    if project == "tensorflow-cuda13":
        return 'official wheels with CUDA 13: a line with `base = "tensorflow-cuda13"` in lines.toml can overlay them.'
    sessions = "`nox -s update-pins` and `nox -s update-distributions`"
    return f"add a `[[release]]` to build_config/targets.toml, then run {sessions}."
