"""Tries finished wheels in imitated runtimes, and writes what was compared as JSON and as a table."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from packaging.version import Version
from rich.table import Table

from imitation import notebook
from imitation import runtime as runtimes
from imitation import trial as trials
from imitation.environments import ENVIRONMENTS
from imitation.errors import ImitationError, UnknownRuntimeError
from imitation.trial import Trial
from tfwheel.config import build_config, colab_runtimes
from tfwheel.index import install_files, local_index, server
from tfwheel.index.errors import WheelMissingError
from tfwheel.index.site import SiteContent
from tfwheel.system import console
from tfwheel.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tfwheel.config.colab_runtimes import Runtime
    from tfwheel.config.paths import Paths
    from tfwheel.index.ledger_entry import LedgerEntry

Environments = dict[str, "Callable[[Trial, str], None]"]


def named(names: Sequence[str], paths: Paths) -> list[Runtime]:
    """Return the runtimes of these names ("2026.07"), without names the newest one; raise UnknownRuntimeError."""
    known = colab_runtimes.load(paths.settings / "colab")
    found = {one.name: one for one in known}
    for name in names:
        if name not in found:
            message = f"there is no snapshot of a runtime {name}; there are {', '.join(found)}"
            raise UnknownRuntimeError(message)
    return [found[name] for name in names] or [known[0]]


def wheel_for(runtime: Runtime, entries: Iterable[LedgerEntry], *, line: str) -> LedgerEntry:
    """Return the newest wheel of a line that replaces a runtime's TensorFlow; raise WheelMissingError without one."""
    found = [
        entry
        for entry in entries
        if (entry.project, entry.line) == (trials.PROJECT, line)
        and runtime.python_minor in install_files.pythons(entry.file)
        and Version(entry.version).public == runtime.tensorflow
    ]
    if not found:
        wanted = f"TensorFlow {runtime.tensorflow} of the line {line} for Python {runtime.python_minor}"
        message = f"this machine's index has no wheel of {wanted}, which the runtime {runtime.name} needs"
        remedy = "Build it: `nox -s plan` names the targets; or name another line with --line."
        raise WheelMissingError(message, remedy=remedy)
    return max(found, key=lambda entry: Version(entry.version))


def imitate(
    names: Sequence[str], paths: Paths, *, line: str, environments: Environments = ENVIRONMENTS
) -> list[dict[str, Any]]:
    """Try the wheels of a line in runtimes by name; returns the reports, each also in ``dist/reports/``.

    Raises ImitationError when something does not hold, after all were tried.
    """
    reports = []
    for attempt, runtime in _attempts(names, paths, line=line):
        attempt.run(environments)
        reports.append(written(attempt, runtime, paths))
    require(reports, paths)
    return reports


def require(reports: Iterable[Mapping[str, Any]], paths: Paths) -> None:
    """Raise ImitationError when a comparison of one of the reports does not hold."""
    faults = [one for report in reports for one in report["findings"] if not one["holds"]]
    if faults:
        words = "{where}: {what}: {seen}".format(**faults[0])
        message = f"{len(faults)} comparisons do not hold (all: {paths.dist / 'reports'}); the first: {words}"
        raise ImitationError(message)


def run_notebook(names: Sequence[str], paths: Paths, *, line: str) -> None:
    """Run the notebook in runtimes by name, with a wheel of a line; raises NotebookError where it breaks a promise."""
    for attempt, runtime in _attempts(names, paths, line=line):
        seconds = notebook.run_in(attempt, runtime, paths.dist / "reports")
        say = f"runtime {runtime.name}: the notebook ran to its end in {seconds['colab']} s"
        console.say(f"{say}, and said in {seconds['missing']} s that a version is not there")


def fill(paths: Paths) -> None:
    """Write the badge and the parameters of the configuration into the notebook, and remove outputs."""
    newest = named((), paths)[0]
    text = notebook.filled(notebook.NOTEBOOK.read_text(encoding="utf-8"), build_config.load(paths.settings), newest)
    write_atomically(notebook.NOTEBOOK, text.encode())


def _attempts(names: Sequence[str], paths: Paths, *, line: str) -> Iterator[tuple[Trial, Runtime]]:
    """Yield the trial of a wheel of a line in each of the runtimes; the index of this machine is served meanwhile."""
    chosen = named(names, paths)
    entries = local_index.update(paths, SiteContent(settings=build_config.load(paths.settings)))
    wheels = [wheel_for(runtime, entries, line=line) for runtime in chosen]
    with server.serve(paths.site) as address:
        for runtime, entry in zip(chosen, wheels, strict=True):
            yield begin(runtime, entry, paths, address=address), runtime


def begin(runtime: Runtime, entry: LedgerEntry, paths: Paths, *, address: str) -> Trial:
    """Make the imitation of a runtime, or take it from the cache, and the trial of a wheel in it."""
    log = paths.dist / "logs" / f"imitation-{runtime.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    return Trial(
        original=runtimes.kept(runtime, paths.cache, roots=trials.ROOTS),
        cache=paths.cache,
        entry=entry,
        address=address,
        constraints=f"{address}install/{install_files.constraints_name(runtime)}",
        log=log,
    )


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
