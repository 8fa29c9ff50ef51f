"""Containers that wait while programs run in them, one after another; files go in and out as copies."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tfwheel.system import containers
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path, PurePath, PurePosixPath

    from tfwheel.system.containers import Container, ContainerHost, ContainerOrder
    from tfwheel.system.processes import Programs

WAITING = ("sh", "-c", "trap exit TERM; sleep 86400 & wait")  # it ends when it is asked to, and after a day
SIGNALLED = 128  # what an engine adds to the number of the signal that ended a program


@dataclass(frozen=True, kw_only=True)
class RunningContainer:
    """A container that was started."""

    made: Container

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        workdir: PurePath | None = None,
        log: Path | None = None,
        among: Programs | None = None,
    ) -> str:
        """Run a program in it, as ``processes.run`` does here.

        Raises CommandError as that does, and ContainerEngineError if it is the container that has ended.
        """
        options = [f"--workdir={workdir}"] if workdir else []
        words = [self.made.engine, "exec", *options, self.made.name, *argv]
        try:
            return run(words, env=containers.own_temporary_folder(), log=log, among=among)
        except CommandError as error:
            if not self._runs():
                raise self.made.failure(error, "go on with") from error
            if error.returncode and error.returncode - SIGNALLED in set(signal.Signals):
                error.returncode = SIGNALLED - error.returncode
            raise

    def copy_in(self, path: Path, inside: PurePosixPath) -> None:
        """Copy a file or folder of this machine into it; raise ContainerEngineError if that cannot be done."""
        try:
            containers.ask([self.made.engine, "cp", path, f"{self.made.name}:{inside}"])
        except CommandError as error:
            raise self.made.failure(error, f"copy {path.name} into") from error

    def copy_out(self, inside: PurePosixPath, to: Path) -> None:
        """Copy a file or folder out of it; raise CommandError if it is not there."""
        self.made.copy_out(inside, to)

    def _runs(self) -> bool:
        try:
            said = containers.ask([self.made.engine, "inspect", "--format", "{{.State.Running}}", self.made.name])
        except CommandError:
            return False
        return said.split()[-1:] == ["true"]


@contextmanager
def running(place: ContainerHost, order: ContainerOrder) -> Iterator[RunningContainer]:
    """Yield a container of that order, whose program is to wait; it is gone when the block ends.

    Raises ContainerEngineError with what the engine says.
    """
    with containers.container(place, replace(order, argv=WAITING)) as made:
        try:
            containers.ask([made.engine, "start", made.name])
        except CommandError as error:
            raise made.failure(error, "start") from error
        yield RunningContainer(made=made)
