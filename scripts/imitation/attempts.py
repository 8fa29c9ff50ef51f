"""Begins trials: finds the runtimes that are meant and the wheel for each, and serves the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from imitation import runtime as runtimes
from imitation import trial as trials
from imitation.errors import UnknownRuntimeError
from imitation.trial import Trial
from tfwheel.build import pipeline
from tfwheel.colab import runtimes as colab_runtimes
from tfwheel.config import build_config, plan
from tfwheel.index import install_files, local_index, server
from tfwheel.index.errors import WheelMissingError
from tfwheel.index.site import SiteContent

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from tfwheel.colab.runtimes import Runtime
    from tfwheel.config.build_config import Config
    from tfwheel.config.paths import Paths
    from tfwheel.index.ledger_entry import LedgerEntry


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a user asked for: runtimes by name, or all that a target of the line is for, and whether to build it."""

    names: tuple[str, ...]
    line: str
    everywhere: bool
    built: bool

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the arguments for it."""
        parser.add_argument("runtimes", nargs="*", help="runtimes such as 2026.07 (default: the newest known)")
        parser.add_argument("--line", default="cpu", help="the line whose wheel is installed (default: cpu)")
        parser.add_argument("--all", action="store_true", help="every runtime that a target of the line is for")
        parser.add_argument("--build", action="store_true", help="first build the wheels, where that is to be done")

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Wish:
        """Read it from parsed arguments."""
        names = tuple(arguments.runtimes)
        return cls(names=names, line=arguments.line, everywhere=arguments.all, built=arguments.build)


def begun(wish: Wish, paths: Paths) -> Iterator[tuple[Trial, Runtime]]:
    """Yield a trial in each runtime that is meant; the index of this machine is served meanwhile.

    Raises UnknownRuntimeError, WheelMissingError and the errors of a build before the first of them.
    """
    settings = build_config.load(paths.settings)
    chosen = meant(wish, paths, settings)
    if wish.built:
        for target in dict.fromkeys(target for one in chosen for target in targets_for(one, settings, line=wish.line)):
            pipeline.build(target, paths=paths)
    entries = local_index.update(paths, SiteContent(settings=settings))
    wheels = [wheel_for(runtime, entries, line=wish.line) for runtime in chosen]
    with server.serve(paths.site) as address:
        for runtime, entry in zip(chosen, wheels, strict=True):
            yield begin(runtime, entry, paths, address=address), runtime


def meant(wish: Wish, paths: Paths, settings: Config) -> list[Runtime]:
    """Return the runtimes that are meant; raise UnknownRuntimeError for a name without a snapshot, or for none.

    Raises SelectionError for a line that no target is on.
    """
    plan.select(plan.targets(settings), line=wish.line)
    if not wish.everywhere:
        return named(wish.names, paths)
    known = colab_runtimes.load(paths.settings / "colab")
    found = [one for one in known if targets_for(one, settings, line=wish.line)]
    if not found:
        message = f"no target of the line `{wish.line}` is for the TensorFlow and the Python of a runtime known here"
        raise UnknownRuntimeError(message, remedy="`nox -s plan` shows the targets, `nox -s fit` the runtimes.")
    return found


def targets_for(runtime: Runtime, settings: Config, *, line: str) -> list[str]:
    """Return the targets of a line that make a wheel for a runtime's Python and TensorFlow."""
    return [
        one.id
        for one in plan.targets(settings)
        if (one.tensorflow, one.python, one.line.name) == (runtime.tensorflow, runtime.python_minor, line)
    ]


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
