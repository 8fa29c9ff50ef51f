"""Tries finished wheels in imitated runtimes, and writes what was compared as JSON and as a table."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

from imitation import attempts
from imitation.environments import ENVIRONMENTS
from imitation.errors import ImitationError
from tfwheel.system import console
from tfwheel.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from imitation.attempts import Wish
    from imitation.trial import Trial
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.config.paths import Paths


def imitate(wish: Wish, paths: Paths) -> None:
    """Try wheels in runtimes; the reports are in ``dist/reports/``.

    Raises ImitationError when something does not hold, after all were tried.
    """
    reports = []
    for attempt, runtime in attempts.begun(wish, paths):
        attempt.run(ENVIRONMENTS)
        reports.append(written(attempt, runtime, paths))
    require(reports, paths)


def require(reports: Iterable[Mapping[str, Any]], paths: Paths) -> None:
    """Raise ImitationError when a comparison of one of the reports does not hold."""
    faults = [one for report in reports for one in report["findings"] if not one["holds"]]
    if faults:
        words = "{where}: {what}: {seen}".format(**faults[0])
        message = f"{len(faults)} comparisons do not hold (all: {paths.dist / 'reports'}); the first: {words}"
        raise ImitationError(message)


def written(attempt: Trial, runtime: Runtime, paths: Paths) -> dict[str, Any]:
    """Write the report of a trial and print its table; returns the report."""
    imitation = attempt.original
    report: dict[str, Any] = {
        "runtime": runtime.name,
        "wheel": attempt.entry.file,
        "bytes": attempt.entry.size,
        "python": {"here": imitation.interpreter, "colab": runtime.python},
        "packages": sum(1 for _ in imitation.site.glob("*.dist-info")),
        "of": len(runtime.pins) + len(runtime.direct),
        "left_out": dict(imitation.left_out),
        "seconds": attempt.seconds,
        "before": {
            where: {name: {"works": works, "said": said} for name, (works, said) in checks.items()}
            for where, checks in attempt.works.items()
        },
        "findings": [asdict(finding) for finding in attempt.findings],
    }
    path = paths.dist / "reports" / f"imitation-{runtime.name}.json"
    write_atomically(path, (json.dumps(report, indent=2) + "\n").encode())
    console.show(table(report))
    console.say(f"the report is {os.path.relpath(path, paths.dist.parent)}")
    return report


def table(report: Mapping[str, Any]) -> Table:
    """Return a table: for each environment the seconds of its installation, and what held."""
    here, colab = report["python"]["here"], report["python"]["colab"]
    shown = Table(
        title=f"{report['wheel']} in runtime {report['runtime']}: {report['packages']} of {report['of']} packages, "
        f"Python {here} (Colab: {colab})"
    )
    for name in ("environment", "seconds", "holds", "first that does not"):
        shown.add_column(name)
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for finding in report["findings"]:
        rows.setdefault(finding["where"], []).append(finding)
    for where, findings in rows.items():
        bad = [f"{one['what']}: {one['seen']}" for one in findings if not one["holds"]]
        holds = f"{len(findings) - len(bad)} of {len(findings)}"
        shown.add_row(where, str(report["seconds"].get(where, "")), holds, bad[0] if bad else "")
    return shown
