"""Make an environment for tests of a wheel in a container: another distribution, a Python that this machine lacks.

Its programs run in the container, under the paths that they would have here. The container is shown pip's configuration
and what that names, and the wheels that lie on this machine, read-only; files go in and out as copies. It installs the
wheel under test from an index that is served here, so it shares this machine's network.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tfwheel.checks.environments import Environment, gpus_for, python_in
from tfwheel.system import containers, running_containers, scratch
from tfwheel.system.containers import ContainerOrder
from tfwheel.system.errors import CommandError, InterpreterMissingError
from tfwheel.system.files import writing
from tfwheel.system.pip_settings import PipSettings
from tfwheel.system.processes import Programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tfwheel.config.targets import Target
    from tfwheel.system.containers import ContainerHost
    from tfwheel.system.running_containers import RunningContainer

IMAGE = "docker.io/library/python:{python}-slim"
CONF = PurePosixPath("/tfwheel/pip.conf")
LISTING = (
    "import pathlib, sys, sysconfig; print(*pathlib.Path(sysconfig.get_path('purelib')).glob(sys.argv[1]), sep='\\n')"
)


@dataclass(frozen=True, kw_only=True)
class ContainerEnvironment(Environment):
    """An environment in a ``container``; ``folder`` is a folder there and, with the copies of files, one here."""

    container: RunningContainer

    def run(self, *words: str | Path) -> str:
        """Run the environment's Python in the container, isolated; raise CommandError."""
        argv = [python_in(self.folder), "-I", *words]
        return self.container.run(argv, workdir=self.folder, log=self.log, among=self.programs)

    def put(self, program: Path, name: str = "") -> Path:
        """Copy a program into the container, by default under its own name; return its path there."""
        copy = super().put(program, name)
        self.container.run(["mkdir", "-p", copy.parent])
        self.container.copy_in(copy, PurePosixPath(copy))
        return copy

    def taken(self, path: Path) -> Path:
        """Move a file that a program wrote out of the container, if it is there; return its path here."""
        path.unlink(missing_ok=True)
        with suppress(CommandError):
            self.container.copy_out(PurePosixPath(path), path)
            self.container.run(["rm", path])
        if not _is_own_file(path):
            path.unlink(missing_ok=True)
        return path

    def installed(self, pattern: str) -> list[Path]:
        """Copy the installed files that match a pattern out of the container; return their paths here."""
        lines = map(PurePosixPath, self.run("-c", LISTING, pattern).splitlines())
        found = [path for path in lines if path.is_relative_to(self.folder) and path.match(pattern)]
        copies = sorted(self.folder / path.name for path in found)
        for path in found:
            self.container.copy_out(path, self.folder / path.name)
        return [copy for copy in copies if _is_own_file(copy)]


def _is_own_file(copy: Path) -> bool:
    """Return whether a copy is a file; what is a link there would lead to a file of this machine here."""
    return copy.is_file() and not copy.is_symlink()


def find_place(target: Target, image: str, engine: str | None = None) -> ContainerHost:
    """Find an engine and an image for a target, whose Python stands for ``{python}`` in the image's name.

    Raises ContainerEngineError and ContainerImageError.
    """
    return containers.find_place(containers.find_engine(engine), image.replace("{python}", target.python))


@contextmanager
def made(
    target: Target, place: ContainerHost, *, log: Path, wheels: Sequence[Path] = (), require_gpu: bool = False
) -> Iterator[Environment]:
    """Yield an environment with a target's Python in a container, which is gone afterwards.

    ``wheels`` are those that will be installed from their files. If this machine has GPUs that the target is for, the
    container gets all of them. Raises GpuRequiredError and ContainerEngineError before the block runs;
    InterpreterMissingError, if the image has no such Python, is the result of ``making``.
    """
    gpus = gpus_for(target, require_gpu=require_gpu)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    programs = Programs()
    with scratch.folder("smoke") as folder, ThreadPoolExecutor(max_workers=1) as aside:
        order = _order(folder, owner=str(log), wheels=wheels, gpus=bool(gpus))
        with running_containers.running(place, order) as container:
            container.run(["mkdir", "-p", folder])
            run_there = partial(container.run, workdir=folder, log=log, among=programs)
            making = aside.submit(_make, folder, target.python, place.image, run_there)
            try:
                yield ContainerEnvironment(
                    folder=folder, log=log, gpus=gpus, making=making, programs=programs, container=container
                )
            finally:
                programs.end()


def _order(folder: Path, *, owner: str, wheels: Sequence[Path], gpus: bool) -> ContainerOrder:
    settings = PipSettings.here()
    conf = folder / CONF.name
    with writing(conf, mode=0o600) as stream:  # it may hold passwords
        stream.write(settings.text().encode())
    shown = {PurePosixPath(path): path for path in (*settings.paths(), *(wheel.resolve() for wheel in wheels))}
    return ContainerOrder(
        owner=owner,
        env={"PIP_CONFIG_FILE": str(CONF)},
        mounts={CONF: conf, **shown},
        gpus=gpus,
        host_network=True,
    )


def _make(folder: Path, version: str, image: str, run_there: Callable[..., str]) -> str:
    """Make the environment; return the version of pip, or raise InterpreterMissingError."""
    tag = f"cp{version.replace('.', '')}"
    faults = []
    for python in (f"python{version}", f"/opt/python/{tag}-{tag}/bin/python{version}"):  # the second: manylinux
        try:
            run_there([python, "-I", "-m", "venv", folder / "venv"])
        except CommandError as error:
            faults += error.output.strip().splitlines()[-1:]
        else:
            said = run_there([python_in(folder), "-I", "-m", "pip", "--version"]).split()
            return said[1] if said[1:] else "of no version"
    message = f"the image `{image}` has no Python {version} that can make an environment: {'; '.join(faults)}"
    raise InterpreterMissingError(message, remedy=f"Name an image that has it, such as {IMAGE.format(python=version)}.")
