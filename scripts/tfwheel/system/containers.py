"""The one door to docker and podman: images, named volumes, and containers that leave nothing behind.

Nothing that a container writes is mounted from this machine: it writes to named volumes, and files are copied out. So
no user of a container has to be a user here, and what is copied belongs to whoever runs this program.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, NoReturn

from tfwheel.system import console, processes
from tfwheel.system.errors import CommandError, ContainerEngineError, ContainerImageError, TargetBusyError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import PurePosixPath

ENGINES = ("docker", "podman")
LABEL = "tfwheel"  # of every container, with what it belongs to
PROCESS = f"{LABEL}-process"  # of every container: which process made it
GPUS = {"docker": "--gpus=all", "podman": "--device=nvidia.com/gpu=all"}  # the second is a name of CDI
MAKER = f'{{{{index .Config.Labels "{PROCESS}"}}}}'
# What engines say of a registry that they do not reach.
UNREACHED = re.compile("no such host|dial tcp|i/o timeout|connection refused|not resolve|unreachable", re.IGNORECASE)
REGISTRY_REMEDY = (
    "The registry was not reached: mend the network, the proxy or the mirror of the engine, or name an image that it "
    "has with `--image`."
)
CONTAINER_ID = re.compile("[0-9a-f]{12,64}")
GPU_REMEDY = (
    "Install NVIDIA's Container Toolkit, and tell the engine of it: `sudo nvidia-ctk runtime configure`, or for podman "
    "`sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`."
)
IMAGE_REMEDY = "If the engine works, it is the image: it must have `sh`, and no entrypoint that ends by itself."
# SIGINT for each process of the first one's group, which is field 5 of /proc/PID/stat (proc(5)).
INTERRUPT = """for one in /proc/[0-9]*; do
    read -r line < "$one/stat" && set -- ${line##*) } && [ "$3" = 1 ] && kill -INT "${one#/proc/}"
done; :"""
AGAIN_S, SOON_S = 300, 1  # at the third one Bazel gives up what it is still writing
START = 19  # of the fields after the name of a program in /proc/PID/stat: when it was started (proc(5), field 22)


@dataclass(frozen=True, kw_only=True)
class ContainerHost:
    """A working container engine and an image that it has; ``image_id`` is the digest of the image."""

    engine: str
    image: str
    image_id: str


@dataclass(frozen=True, kw_only=True)
class ContainerOrder:
    """What a container gets: its program, variables, files and folders of this machine (read-only) and named volumes.

    ``owner`` names what it belongs to: of one owner there is one container at a time. With ``gpus`` it gets all GPUs,
    with ``host_network`` the network of this machine, and so the servers that listen for this machine alone.
    """

    owner: str
    argv: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[PurePosixPath, Path] = field(default_factory=dict)
    volumes: Mapping[PurePosixPath, str] = field(default_factory=dict)
    workdir: PurePosixPath | None = None
    gpus: bool = False
    host_network: bool = False


def find_engine(name: str | None = None) -> str:
    """Find the engine of that name, or the first that works; ContainerEngineError with its output if none does."""
    wanted = (name,) if name else ENGINES
    faults = []
    for engine in filter(shutil.which, wanted):
        try:
            ask([engine, "info"])
        except CommandError as error:
            faults.append(f"{engine} does not work: {_last_words(error.output)}")
        else:
            return engine
    message = "; ".join(faults) or f"there is no {' or '.join(wanted)} on PATH"
    raise ContainerEngineError(message)


def storage(engine: str) -> Path:
    """Return the folder in which an engine keeps its images and volumes; it may be on another machine."""
    key = "{{.DockerRootDir}}" if engine == ENGINES[0] else "{{.Store.GraphRoot}}"
    return Path(ask([engine, "info", "--format", key]).strip().rpartition("\n")[2])  # after warnings


def make_image(engine: str, image: str, dockerfile: Path, context: Path) -> bool:
    """Make an image from a Dockerfile that copies no file, unless the engine has one of that name; return if it did.

    ``context`` is an empty folder, which is made. Raises ContainerImageError with what the engine says.
    """
    with suppress(CommandError):
        ask([engine, "image", "inspect", "--format", "{{.Id}}", image])
        return False
    context.mkdir(parents=True, exist_ok=True)
    try:
        ask([engine, "build", "--tag", image, "--file", dockerfile, context])
    except CommandError as error:
        message = f"{engine} cannot make the image `{image}` of {dockerfile}: {_last_words(error.output)}"
        raise _image_error(message, error) from error
    return True


def size_of_image(engine: str, image: str) -> int:
    """Return the bytes of an image that the engine has, with those of its base; CommandError without it."""
    return int(ask([engine, "image", "inspect", "--format", "{{.Size}}", image]).split()[-1])  # after warnings


def find_place(engine: str, image: str) -> ContainerHost:
    """Check that the engine has the image (pulled if missing) and can start a container of it.

    Raises ContainerImageError and ContainerEngineError, with the engine's output.
    """
    inspect = [engine, "image", "inspect", "--format", "{{.Id}}", image]
    try:
        found = ask(inspect)
    except CommandError:
        try:
            ask([engine, "pull", image])
        except CommandError as error:
            message = f"{engine} has no image `{image}` and cannot pull it: {_last_words(error.output)}"
            raise _image_error(message, error) from error
        found = ask(inspect)
    try:
        ask([engine, "run", "--rm", "--pull=never", image, "/bin/true"])
    except CommandError as error:
        message = f"{engine} cannot start a container of `{image}`: {_last_words(error.output)}"
        remedy = f"Make `{engine} run --rm {image} /bin/true` work; tests/container/containers.conf may help podman."
        raise ContainerEngineError(message, remedy=remedy) from error
    return ContainerHost(engine=engine, image=image, image_id=found.strip())


def ask(argv: Sequence[str | Path]) -> str:
    """Run an engine's program to its end; return its output. Raises CommandError."""
    return run(argv, env=own_temporary_folder())


def own_temporary_folder() -> dict[str, str]:
    """Return the TMPDIR of this process for an engine, which may keep its state there from one call to the next."""
    return {"TMPDIR": os.environ.get("TMPDIR") or "/tmp"}  # noqa: S108 -- what it uses itself


@contextmanager
def swept(engine: str, owner: str) -> Iterator[None]:
    """Remove the containers of an owner before and after the block: those of a killed run, and this run's.

    Raises TargetBusyError if one belongs to another process that runs.
    """
    mine = _process(os.getpid())

    def sweep() -> list[str]:
        found = ask([engine, "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={owner}"]).split()
        names = [name for name in found if CONTAINER_ID.fullmatch(name)]  # beside warnings of the engine
        makers = {name: ask([engine, "inspect", "--format", MAKER, name]).strip().rpartition("\n")[2] for name in names}
        busy = [name for name, maker in makers.items() if maker not in (mine, "") and _process(_pid(maker)) == maker]
        if gone := [name for name in names if name not in busy]:
            ask([engine, "rm", "--force", *gone])
        return busy

    if sweep():
        message = f"another process has a container of {owner}"
        raise TargetBusyError(message)
    try:
        yield
    finally:
        sweep()


def _process(pid: int) -> str:
    """Return the name of a running process that no later one has: its number and its start; empty without one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return f"{pid}.{stat.rpartition(')')[2].split()[START]}"


def _pid(process: str) -> int:
    number = process.partition(".")[0]
    return int(number) if number.isdecimal() else 0


class Container:
    """A container that was made and not yet started."""

    def __init__(self, place: ContainerHost, order: ContainerOrder) -> None:
        """Make it; raise ContainerEngineError with what the engine says."""
        self.engine, self.image, self.gpus = place.engine, place.image, order.gpus
        try:
            options = _options(self.engine, order)
            self.name = ask([self.engine, "create", *options, self.image, *order.argv]).split()[-1]
        except CommandError as error:
            raise self.failure(error, "make") from error

    def failure(self, error: CommandError, doing: str) -> ContainerEngineError:
        """Return the error that says, in the engine's words, what it cannot do, as in "start"."""
        gpus = " with this machine's GPUs" if self.gpus else ""
        message = f"{self.engine} cannot {doing} a container of `{self.image}`{gpus}: {_last_words(error.output)}"
        return ContainerEngineError(message, remedy=GPU_REMEDY if gpus else IMAGE_REMEDY)

    def start(self, *, log: Path, on_line: Callable[[str], object] | None = None, budget_s: float | None = None) -> int:
        """Run its program to the end, with the output in ``log``; return its exit code.

        After ``budget_s`` seconds it is asked to end as Ctrl-C does (SIGINT), and it ends when its program does.
        """
        ended = Event()
        if budget_s is not None:
            Thread(target=self._interrupt_after, args=(budget_s, ended), daemon=True).start()
        try:
            run([self.engine, "start", "--attach", self.name], env=own_temporary_folder(), log=log, on_line=on_line)
        except CommandError as error:
            return error.returncode or 1
        finally:
            ended.set()
        return 0

    def interrupt(self) -> None:
        """Ask its program to end, as Ctrl-C does, and what that started in its place.

        A signal to the container reaches the first process alone, and bazelisk does not pass it on to Bazel. Raises
        CommandError if nothing runs in it.
        """
        ask([self.engine, "exec", self.name, "sh", "-c", INTERRUPT])

    def _interrupt_after(self, seconds: float, ended: Event) -> None:
        """Interrupt it after that time, and again until it has ended: what just begins knows no signal yet."""
        wait = seconds
        while not ended.wait(wait):
            try:
                self.interrupt()
                wait = AGAIN_S
            except CommandError:  # it has not begun, or it just ended
                wait = SOON_S

    def copy_out(self, inside: PurePosixPath, to: Path) -> None:
        """Copy a file or folder out of it; raise CommandError if it is not there."""
        ask([self.engine, "cp", f"{self.name}:{inside}", to])


@contextmanager
def container(place: ContainerHost, order: ContainerOrder) -> Iterator[Container]:
    """Yield a container that is there while the block runs; one that a killed run left is removed first."""
    with swept(place.engine, order.owner):
        yield Container(place, order)


def enter(place: ContainerHost, order: ContainerOrder) -> NoReturn:
    """Become a container with this terminal, which is gone when its program ends."""
    terminal = ["--tty"] if sys.stdin.isatty() else []
    options = ["--rm", "--interactive", *terminal, *_options(place.engine, order)]
    argv = [place.engine, "run", *options, place.image, *order.argv]
    processes.become(argv, env=own_temporary_folder())


def _options(engine: str, order: ContainerOrder) -> list[str]:
    """Return what an engine is told of a container."""
    if odd := next((path for path in order.mounts.values() if re.search(r'[,"\x00-\x1f]', str(path))), None):
        message = f"no container can see the path {str(odd)!r}: a comma, a quote or a control character is in it"
        raise ContainerEngineError(message, remedy="Rename that folder, or choose another one.")
    options = [f"--label={LABEL}={order.owner}", f"--label={PROCESS}={_process(os.getpid())}"]
    options += ["--pull=never", "--security-opt=label=disable"]
    options += [f"--mount=type=bind,source={path},destination={at},readonly" for at, path in order.mounts.items()]
    options += [f"--mount=type=volume,source={name},destination={at}" for at, name in order.volumes.items()]
    options += [f"--env={name}={value}" for name, value in order.env.items()]
    options += [GPUS[engine]] if order.gpus else []
    options += ["--network=host"] if order.host_network else []
    return [*options, *([f"--workdir={order.workdir}"] if order.workdir else [])]


def has_volume(engine: str, name: str) -> bool:
    """Return whether an engine has a named volume."""
    return name in ask([engine, "volume", "ls", "--quiet"]).split()


def remove_volumes(engine: str, names: Sequence[str]) -> None:
    """Remove named volumes; one that is not there is no error."""
    there = ask([engine, "volume", "ls", "--quiet"]).split()
    for name in set(names).intersection(there):
        ask([engine, "volume", "rm", name])


def remove_volumes_of(engine: str, owner: str) -> None:
    """Remove the volumes whose names begin with a name and a hyphen, and say which."""
    for name in ask([engine, "volume", "ls", "--quiet"]).split():
        if name.startswith(f"{owner}-"):
            ask([engine, "volume", "rm", name])
            console.say(f"removed the volume {name}")


def _image_error(message: str, error: CommandError) -> ContainerImageError:
    return ContainerImageError(message, remedy=REGISTRY_REMEDY if UNREACHED.search(error.output) else None)


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
