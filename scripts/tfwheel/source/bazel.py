"""Run Bazel on a tree in a container, with caches that outlive it: a build that was stopped goes on where it stopped.

Bazel writes to three named volumes: its output base, which belongs to one build, its disk cache and its downloads, that
builds may share. The tree is mounted read-only, and what was built is copied out.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tfwheel.source import build_events
from tfwheel.source.errors import (
    BazelError,
    BuildStoppedError,
    OutOfMemoryError,
    RemoteServerError,
    SourceCompileError,
)
from tfwheel.system import console, containers, scratch
from tfwheel.system.containers import ContainerOrder
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tfwheel.source.build_events import BuildReport
    from tfwheel.system.containers import ContainerHost

TREE, OUT, DISK, FETCHED = (PurePosixPath(path) for path in ("/tree", "/bazel/out", "/bazel/disk", "/bazel/fetched"))
LINKS = OUT / "links"  # how the names of the links begin that Bazel makes
EVENTS = PurePosixPath("/tmp/tfwheel-events.json")  # noqa: S108 -- of the container, gone with it
# Exit codes of Bazel (https://bazel.build/run/scripts#exit-codes); above 128 a signal ended it.
FAILED, INTERRUPTED, NO_MEMORY, KILLED, TERMINATED = 1, 8, 33, 137, 143
BROKE_OFF, EVICTED = 34, 39  # of a remote: an error, and a file that its cache had and has no more
REMOTES = ("--remote_cache=", "--remote_executor=")
REFUSED, WITHOUT = "ERROR: Failed to query remote execution capabilities: ", "WARNING: Remote Cache: "
REASONS = {  # of the options that decide no byte, for people
    "--output_base": "what was built so far, in a volume: a second run goes on there",
    "--symlink_prefix": "the links that Bazel makes for people: the tree is read-only",
    "--build_event_json_file": "what became of each action, for programs",
    "--nobuild_event_json_file_path_conversion": "files by their place here, and not in a remote over gRPC",
    "--curses": "progress in lines that a log can keep",
    "--color": "the same",
    "--show_progress_rate_limit": "one of them in so many seconds",
    "--disk_cache": "each action's output, for the next build, too",
    "--repository_cache": "each download, for the next build, too",
    "--jobs": "actions at once, as many as there is memory for",
    "--remote_cache": "a cache that machines share; if it asks for a header: index/docs/source.md",
    "--remote_executor": "the machines that run the actions; if they ask for a header: index/docs/source.md",
    "--spawn_strategy": "TensorFlow's own .bazelrc has `standalone`, with which an executor would run nothing",
    "--credential_helper": "tells Bazel the header that a remote asks for",
}
ABRUPT = "Server terminated abruptly"
SHOWN = 30  # lines of what a failed action printed


@dataclass(frozen=True, kw_only=True)
class BazelBuild:
    """What Bazel builds: ``targets`` of a ``tree`` with ``options``; one build of a ``name`` runs at a time.

    ``shared`` names the volumes that other builds use, too, by default ``name``. ``jobs`` is how many actions run at
    once, ``mounts`` are files that Bazel sees.
    """

    name: str
    shared: str = ""
    tree: Path
    targets: Sequence[str]
    options: Sequence[str] = ()
    jobs: int | None = None
    mounts: Mapping[PurePosixPath, Path] = field(default_factory=dict)

    @property
    def volumes(self) -> dict[PurePosixPath, str]:
        """The named volumes, by their place in the container."""
        shared = self.shared or self.name
        return {OUT: f"{self.name}-out", DISK: f"{shared}-disk", FETCHED: f"{shared}-fetched"}

    @property
    def remotes(self) -> str:
        """The addresses of a remote cache and of an executor, for people; empty without one."""
        return " and ".join(one.partition("=")[2] for one in self.options if one.startswith(REMOTES))

    def argv(self) -> list[str]:
        """Return Bazel's command line."""
        caches = [f"--disk_cache={DISK}", f"--repository_cache={FETCHED}"]
        events = [f"--build_event_json_file={EVENTS}", "--nobuild_event_json_file_path_conversion"]
        reports = [*events, "--curses=no", "--color=no", "--show_progress_rate_limit=5"]
        jobs = [f"--jobs={self.jobs}"] if self.jobs else []
        build = ["build", f"--symlink_prefix={LINKS}-", *reports, *caches, *jobs, *self.options, "--", *self.targets]
        return ["bazel", f"--output_base={OUT / 'base'}", *build]


def build(
    order: BazelBuild,
    place: ContainerHost,
    *,
    folder: Path,
    log: Path,
    budget_s: float | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> BuildReport:
    """Build, and copy the files of the targets into ``folder``; return what Bazel says of the build.

    After ``budget_s`` seconds Bazel is asked to end, and at once if a remote over gRPC is not there. Raises
    SourceCompileError with what the first failed action printed, RemoteServerError, BuildStoppedError,
    OutOfMemoryError, BazelError and the errors of the container engine; nothing of a failed build is in ``folder``, and
    what Bazel finished is kept.
    """
    troubles: list[str] = []

    def on_line(line: str) -> None:
        found = build_events.counter(line)
        if found and on_progress:
            on_progress(*found)
        if line.startswith((REFUSED, WITHOUT)):
            troubles.append(line)
        if troubles != [line]:  # the first is said; more of them say the same
            return
        if line.startswith(WITHOUT):
            console.warn(f"{order.remotes} fails, and the build goes on without it: {line.removeprefix(WITHOUT)}")
        else:  # Bazel before version 8 goes on without a cache that is not there, and waits for it at each action
            with suppress(CommandError):  # it ended by itself
                container.interrupt()

    wanted = container_of(order, order.argv())
    shutil.rmtree(folder, ignore_errors=True)
    log.unlink(missing_ok=True)
    with containers.container(place, wanted) as container:
        code = container.start(log=log, on_line=on_line, budget_s=budget_s)
        report = _report(container, folder.with_name(f"{folder.name}.events.json"))
        refused = bool(troubles) and troubles[0].startswith(REFUSED)
        _raise_for(code, report, order, log, refused=refused)
        with scratch.beside(folder) as unfinished:
            made = unfinished / "made"
            made.mkdir()
            for output in report.outputs:
                (made / output).parent.mkdir(parents=True, exist_ok=True)
                container.copy_out(PurePosixPath(report.places[output]), made / output)
            made.rename(folder)  # whole, or not there
    return report


def container_of(order: BazelBuild, argv: Sequence[str]) -> ContainerOrder:
    """Return what the container of a build gets, with this program."""
    return ContainerOrder(
        owner=order.name,
        argv=argv,
        env={"HOME": str(OUT)},
        mounts={TREE: order.tree, **order.mounts},
        volumes=order.volumes,
        workdir=TREE,
    )


def _report(container: containers.Container, copy: Path) -> BuildReport:
    try:
        container.copy_out(EVENTS, copy)
    except CommandError:  # Bazel did not come so far
        return build_events.read([])
    with copy.open(encoding="utf-8", errors="replace") as stream:
        return build_events.read(stream)


def _raise_for(code: int, report: BuildReport, order: BazelBuild, log: Path, *, refused: bool) -> None:
    """Raise the error that an exit code of Bazel stands for; 0 is none. ``refused`` is why it was asked to end."""
    if not code:
        return
    said = log.read_text(encoding="utf-8", errors="replace")
    where = f"`bazel build {' '.join(order.targets)}`"
    done = f"{report.done:,} of {report.total:,} actions were done" if report.total else "no action was done"
    if code == FAILED and report.failed:
        first = report.failed[0]
        message = f"{where}: {first.mnemonic} of {first.label} failed\n{_printed(said)}"
        raise SourceCompileError(message, remedy=f"{SourceCompileError.default_remedy} The whole log is {log}.")
    if code in {KILLED, NO_MEMORY} or ABRUPT in said:
        message = f"{where} ran out of memory, or was killed (exit code {code}); {done}"
        fewer = (
            f" It ran {order.jobs} at once: `--jobs {max(1, order.jobs // 2)}` needs half the memory."
            if order.jobs
            else ""
        )
        raise OutOfMemoryError(message, remedy=OutOfMemoryError.default_remedy + fewer)
    lines = [line for line in said.splitlines() if line.startswith(("ERROR", "FATAL"))] or said.splitlines()[-1:]
    if refused or (order.remotes and code in {BROKE_OFF, EVICTED}):
        message = f"{where} cannot use {order.remotes}: {' '.join(lines[:1]).removeprefix('ERROR: ')}"
        raise RemoteServerError(message, remedy=f"{RemoteServerError.default_remedy} The log is {log}.")
    if code in {INTERRUPTED, TERMINATED}:
        message = f"{where} was stopped; {done}"
        raise BuildStoppedError(message)
    message = f"{where} ended with exit code {code}: {' '.join(lines[:1])}"
    raise BazelError(message, remedy=f"{BazelError.default_remedy} The log is {log}.")


def _printed(said: str) -> str:
    """Return what the first failed action printed: what follows Bazel's first line about an error."""
    lines = said.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("ERROR: ")), 0)
    body = [
        line for line in lines[start : start + 2 * SHOWN] if not line.startswith(("  ", "INFO", "[")) or "|" in line
    ]
    return "\n".join(body[:SHOWN])
