"""Give temporary folders that are never left behind: what a killed process leaves is removed at the next start.

A *place* is a folder that only the user can enter. Each process has one folder in it, with a file that it keeps locked
for as long as it lives: the kernel frees the lock however the process dies, so a folder without a lock is left over.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import signal
import stat
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tfwheel.system import cache_root, console, locks
from tfwheel.system.errors import FileAccessError, UnsafeFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIVE = ".alive"  # in the folder of a process: the file that it keeps locked
MARK = "TFWHEEL_SCRATCH"  # in the environment of programs: the folder of the process that started them
PRIVATE = 0o700
BLOCK = 512  # bytes, the unit of st_blocks
END_S = 5  # how long programs that were left may take to vanish after SIGKILL
_homes: dict[Path, Path] = {}
_guard = threading.RLock()


def place() -> Path:
    """Return the place of this user: in ``$TMPDIR`` if that is set, else in the cache, where there is room."""
    chosen = os.environ.get("TMPDIR")
    return Path(chosen).absolute() / f"tfwheel-{os.geteuid()}" if chosen else within(cache_root.folder())


def within(cache: Path) -> Path:
    """Return the place in a cache: what is made there can be renamed into the cache."""
    return cache.absolute() / "scratch"


@contextmanager
def folder(name: str, *, where: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder in ``where`` (default: ``place()``) and delete it when the block ends.

    Raises UnsafeFolderError when others could change what is in that place.
    """
    home = home_in(where or place())
    with tempfile.TemporaryDirectory(dir=home, prefix=f"{name}-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@contextmanager
def file(name: str, suffix: str = "") -> Iterator[IO[bytes]]:
    """Yield an empty file with a ``name`` in ``place()`` and delete it when the block ends."""
    with tempfile.NamedTemporaryFile(dir=home_in(place()), prefix=f"{name}-", suffix=suffix) as made:
        yield made


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield an empty hidden folder beside a path, on the same disk, and delete it when the block ends.

    First deletes those that killed runs left beside that path.
    """
    prefix = f".{path.name}.scratch-"
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in [one for one in path.parent.iterdir() if one.name.startswith(prefix) and not _is_alive(one)]:
        if time.time() - left.stat().st_mtime > END_S:  # a younger one may not be locked yet
            _weight(left)
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=prefix, ignore_cleanup_errors=True) as made:
        held = _lock(Path(made))
        try:
            yield Path(made)
        finally:
            os.close(held)


def nameless(folder: Path) -> IO[bytes]:
    """Return an empty file without a name on the disk of a folder: the kernel deletes it when this process ends."""
    return tempfile.TemporaryFile(dir=folder)


def spooled(folder: Path, *, in_memory: int) -> tempfile.SpooledTemporaryFile[bytes]:
    """Return a file that is in memory up to a size in bytes, and then a nameless one on the disk of a folder."""
    return tempfile.SpooledTemporaryFile(max_size=in_memory, dir=str(folder))


def home_in(where: Path) -> Path:
    """Return the folder of this process in a place; the first call makes it."""
    with _guard:
        if where not in _homes:
            _homes[where] = _made(where)
        return _homes[where]


def mark() -> dict[str, str]:
    """Return the variables for programs: by one they are recognised if they outlive this process."""
    homes = dict(_homes)  # without the lock: a program never waits for another run
    if not homes:
        return {}
    # A program that is ended leaves its own temporary files: they are to be removed with the rest.
    mine = homes.get(place())
    return {MARK: os.pathsep.join(map(str, homes.values()))} | ({"TMPDIR": str(mine)} if mine else {})


def sweep(where: Path) -> int:
    """Remove what dead processes left in a place, end the programs that they left running, and say how much it was.

    Returns the number of bytes on disk. What cannot be removed is a warning: nothing depends on it.
    """
    if not where.is_dir() or where.is_symlink():
        return 0
    with exclusively(where):
        left = [path for path in where.iterdir() if path.is_dir() and not path.is_symlink() and not _is_alive(path)]
        size = sum(map(_weight, left))
        for path in left:
            _end_programs(path)
            shutil.rmtree(path, ignore_errors=True)
            if path.exists():
                console.warn(f"{path} was left by a run that was killed, and cannot be removed: delete it")
    if size:
        console.say(f"removed {console.size(size)} that a killed run left in {where}")
    return size


def sweep_unlocked(folder: Path, held: Path) -> None:
    """Remove the folders in ``folder`` whose lock in the folder ``held``, ``<name>.lock``, nobody has; say how much."""
    size = 0
    for path in sorted(folder.glob("*/")):
        lock = held / f"{path.name}.lock"
        if lock.is_file():
            with locks.attempted(lock) as free:
                if free:
                    size += _weight(path)
                    shutil.rmtree(path, ignore_errors=True)
    if size:
        console.say(f"removed {console.size(size)} that a killed run left in {folder}")


def sweep_at_start() -> None:
    """Remove what dead processes left in the places of this user, if there is any."""
    for where in {place(), within(cache_root.folder())}:
        with suppress(OSError, FileAccessError):  # it is about others: this process says it when it needs the place
            sweep(where)


def living_since(where: Path) -> float | None:
    """Return when the oldest other living process entered a place (seconds since 1970), or None."""
    others = [path for path in where.glob(f"*/{ALIVE}") if path.parent != _homes.get(where)]
    return min((path.stat().st_mtime for path in others if _is_alive(path.parent)), default=None)


@contextmanager
def exclusively(where: Path) -> Iterator[None]:
    """Keep other processes from entering or sweeping a place while the block runs; in this process, other threads."""
    with _guard, locks.exclusive(where / "lock", busy=f"another run clears {where}"):
        yield


def _made(where: Path) -> Path:
    """Make the folder of this process in a place and lock it."""
    _check(where)
    with exclusively(where):
        home = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=where))
        _lock(home)  # never closed: the kernel does that
    atexit.register(_leave, where, home, os.getpid())
    return home


def _check(where: Path) -> None:
    """Make a place, or refuse one that others made or can change: in a shared /tmp, anybody can take its name."""
    where.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        where.mkdir(mode=PRIVATE)
    facts = where.lstat()
    if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o077:
        return
    kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "no folder"
    mode = f"{stat.S_IMODE(facts.st_mode):o}"
    message = f"others can change {where}: it is {kind} of user {facts.st_uid} with mode {mode}"
    raise UnsafeFolderError(message)


def _lock(home: Path) -> int:
    """Make the file that says that the owner of a folder lives, and lock it until its descriptor is closed."""
    held = os.open(home / ALIVE, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def _leave(where: Path, home: Path, owner: int) -> None:
    """Remove the folder of this process; not in a process that was forked from it."""
    if os.getpid() == owner:
        with suppress(OSError), exclusively(where):
            shutil.rmtree(home, ignore_errors=True)
        _homes.pop(where, None)


def _is_alive(home: Path) -> bool:
    """Return whether the process of a folder lives: whether its lock is held."""
    try:
        descriptor = os.open(home / ALIVE, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _weight(path: Path) -> int:
    """Return the bytes on disk below a folder, and let its owner delete all of it."""
    total = 0
    with suppress(OSError):
        path.chmod(PRIVATE)
        for entry in os.scandir(path):
            with suppress(OSError):  # what is still written to may vanish
                total += entry.stat(follow_symlinks=False).st_blocks * BLOCK
            if entry.is_dir(follow_symlinks=False):
                total += _weight(Path(entry.path))
    return total


def _end_programs(home: Path) -> None:
    """End the programs of a dead process: they would write on, into folders that are being removed."""
    deadline = time.monotonic() + END_S
    while (found := _programs_of(home)) and time.monotonic() < deadline:
        for number in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.02)


def _programs_of(home: Path) -> list[int]:
    """Return the running processes whose environment names the folder of that process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # of another user, or ended by now
            for variable in path.read_bytes().split(b"\0"):
                name, _, value = variable.partition(b"=")
                if name == MARK.encode() and os.fsencode(home) in value.split(os.pathsep.encode()):
                    found.append(int(path.parent.name))
    return found
