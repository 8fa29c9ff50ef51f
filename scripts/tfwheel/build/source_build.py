"""Runs a build of TensorFlow from source on this machine: engine, image, tree, Bazel; or prints it as a script."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from tfwheel.build.errors import SourceWheelError
from tfwheel.config import build_config, eras, plan
from tfwheel.config.errors import BuilderUnavailableError
from tfwheel.config.paths import Paths
from tfwheel.config.targets import session_of
from tfwheel.errors import UsageError
from tfwheel.source import bazel, machine, script, trees
from tfwheel.source.errors import BuildStoppedError
from tfwheel.source.order import CREDENTIAL, DOCKERFILE, Remote, SourceOrder
from tfwheel.system import ci, console, containers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tfwheel.config.targets import Target
    from tfwheel.source.bazel import BazelBuild
    from tfwheel.system.containers import ContainerHost

PROGRESS_S = 60  # between two lines about it


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How a build from source runs; only ``image`` may decide bytes, and the wheel names it.

    ``engine`` is docker or podman, by default the first that works, ``image`` one to build in, by default that of
    ``build_config/containers/``. ``jobs`` is how many actions run at once, by default as many as the machine has cores
    and memory for. After ``budget_s`` seconds Bazel is asked to end. ``wheel`` is one that was built elsewhere.
    """

    engine: str | None = None
    image: str | None = None
    jobs: int | None = None
    budget_s: float | None = None
    remote: Remote = field(default_factory=Remote)
    wheel: Path | None = None

    @classmethod
    def given(cls, words: Mapping[str, Any]) -> SourceOptions:
        """Take them from the words of a command line, by name; RemoteAddressError for a bad address.

        The header of a remote is taken out of the environment, which other programs inherit.
        """
        header = os.environ.pop(CREDENTIAL, "")
        return cls(
            engine=words.get("engine"),
            image=words.get("image"),
            jobs=words.get("jobs"),
            budget_s=words.get("time_budget"),
            remote=Remote(
                cache=words.get("remote_cache", ""), executor=words.get("remote_executor", ""), header=header
            ),
            wheel=words.get("wheel"),
        )

    def refuse_with_script(self) -> None:
        """Raise UsageError for what a printed script does not have: on that machine it is set there."""
        words = {"engine": "set ENGINE", "jobs": "set JOBS", "budget_s": "end it with Ctrl-C", "image": "", "wheel": ""}
        for name, instead in words.items():
            if getattr(self, name) is not None:
                option = {"budget_s": "time-budget"}.get(name, name)
                message = f"--{option} is for a build here, and --dry-run prints a script for another machine"
                remedy = f"Leave it out{f', and {instead} where the script runs' if instead else ''}."
                raise UsageError(message, remedy=remedy)


def built(wanted: SourceOrder, options: SourceOptions, paths: Paths, work: Path, log: Path) -> Path:
    """Build the wheel with Bazel in a container, below ``work``; return it.

    Raises TooSmallError before any work, and the errors of the room ``source``.
    """
    engine = containers.find_engine(options.engine)
    here = machine.look(containers.storage(engine))
    if not options.remote.executor:
        begun = containers.has_volume(engine, wanted.bazel(work).volumes[bazel.OUT])  # it holds a part of that already
        disk = 0 if begun else wanted.era.disk * machine.GIB
        machine.require_room(here, disk=disk, what=f"a build of {wanted.target.id} from source")
    jobs = options.jobs or (machine.REMOTE_JOBS if options.remote.executor else here.jobs)
    console.say(f"  {here}: {jobs} jobs at once")
    _say_fixes(wanted)
    build, place = _prepared(wanted, options, paths, work, engine, jobs=jobs)
    with console.step("Bazel"):
        report = bazel.build(
            build,
            place,
            folder=work / "built",
            log=log,
            budget_s=options.budget_s,
            on_progress=_Progress(wanted.era.actions),
        )
    there = f" ({report.remote:,} of them by the executor)" if options.remote.executor else ""
    console.say(f"  {report.ran:,} actions ran{there}, {report.cached:,} came from a cache")
    return _only_wheel(work / "built", wanted)


def script_of(target_id: str, remote: Remote, paths: Paths | None = None) -> str:
    """Return a script that builds the TensorFlow of a target on another machine; ConfigError as ``SourceOrder.of``.

    Raises as ``target_of`` does.
    """
    return script.text(_order_of(target_id, paths or Paths.here()), remote=remote)


def enter(target_id: str, options: SourceOptions, paths: Paths | None = None) -> NoReturn:
    """Become a shell in the container in which the TensorFlow of a target is built, with its tree and caches.

    Raises as ``require`` and ``target_of`` do.
    """
    paths = paths or Paths.here()
    wanted = _order_of(target_id, paths)
    engine = containers.find_engine(options.engine)
    work = paths.dist / "shell"  # a copy of a folder stays there while the shell has the place of this process
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    build, place = _prepared(wanted, options, paths, work, engine, jobs=options.jobs)
    console.say(f"  to build here: {shlex.join(build.argv())}")
    containers.enter(place, replace(bazel.container_of(build, ["bash"]), owner=f"{build.name}-shell"))


@contextmanager
def in_parts(*, to_be_told: bool) -> Iterator[None]:
    """With ``to_be_told``, take a build that was stopped for no failure, and tell CI whether to go on (`again`)."""
    again = False
    try:
        yield
    except BuildStoppedError as error:
        if not to_be_told:
            raise
        console.say(f"  {error.message}")
        again = True
    if to_be_told:
        ci.set_outputs({"again": json.dumps(again)})


def target_of(target_id: str, paths: Paths | None = None) -> Target:
    """Return a target that is built from source; BuilderUnavailableError for another one.

    Raises SelectionError, with the nearest of those that are, if there is none of that name.
    """
    everything = plan.targets(build_config.load((paths or Paths.here()).settings))
    other = next((one for one in everything if one.id == target_id and one.builder != "source"), None)
    if other:
        message = f"{other.id} is not built from source: its base is an official wheel"
        remedy = f'Build it with `nox -s "{session_of(other.line.name)}({other.id})"`.'
        raise BuilderUnavailableError(message, remedy=remedy)
    return plan.find([one for one in everything if one.builder == "source"], target_id)


def _order_of(target_id: str, paths: Paths) -> SourceOrder:
    return SourceOrder.of(target_of(target_id, paths), paths.settings)


def _prepared(
    wanted: SourceOrder, options: SourceOptions, paths: Paths, work: Path, engine: str, *, jobs: int | None
) -> tuple[BazelBuild, ContainerHost]:
    """Make the image, if need be, and fetch the tree."""
    if not options.image:
        containers.make_image(engine, wanted.image, DOCKERFILE, work / "context")
    place = containers.find_place(engine, options.image or wanted.image)
    with console.step("the tree of TensorFlow"):
        tree = trees.bring(wanted, paths.cache, work)
    return wanted.bazel(tree, jobs=jobs, remote=options.remote, mounts=options.remote.mounts(work)), place


def _say_fixes(wanted: SourceOrder) -> None:
    """Warn of what the CUDA version is known to need changed in the tree, which a patch alone does."""
    for fix in () if wanted.patches else wanted.fixes:
        source = eras.whole(wanted.era, fix.source)
        console.warn(f"CUDA {fix.cuda} is known to need in {', '.join(fix.files)}: {fix.what} ({source})")


def _only_wheel(folder: Path, wanted: SourceOrder) -> Path:
    found = sorted(folder.rglob("*.whl"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        message = f"{wanted.era.target} of {wanted.target.id} gave {len(found)} wheels: {names}"
        raise SourceWheelError(message)
    return found[0]


class _Progress:
    """Says from time to time how far a build is, and about how long it will take."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.start = self.said = time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Note the count of actions; Bazel finds more of them while it builds."""
        self.first = done if self.first is None else self.first
        now = time.monotonic()
        if now - self.said < PROGRESS_S:
            return
        self.said = now
        left = ""
        if done > self.first:
            seconds = (now - self.start) / (done - self.first) * (max(total, self.expected) - done)
            left = f", about {seconds / 3600:.1f} h left"
        console.say(f"  {done:,} of about {max(total, self.expected):,} actions{left}")
