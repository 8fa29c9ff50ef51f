"""What this machine has for a build from source: how many jobs at once, and whether it is large enough at all."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tfwheel.source.errors import TooSmallError

GIB = 1024**3
# A start, not a measurement: 10 GB were too little for 6 jobs (tensorflow/tensorflow#42066), and a compiler of GPU code
# needs more than one of C++.
MEMORY_OF_A_JOB = 4 * GIB
MEMORY_OF_BAZEL = 3 * GIB  # its own server, and the system
REMOTE_JOBS = 200  # where other machines compile; Bazel's own default is the number of cores here
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # cgroup 2 and 1


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What there is: ``cores`` that this process may use, and bytes of ``memory`` and of free ``disk``."""

    cores: int
    memory: int
    disk: int

    @property
    def jobs(self) -> int:
        """How many actions may run at once: one a core, as far as memory goes."""
        return max(1, min(self.cores, (self.memory - MEMORY_OF_BAZEL) // MEMORY_OF_A_JOB))

    def __str__(self) -> str:
        """Return the figures for people."""
        return f"{self.cores} cores, {self.memory / GIB:.0f} GiB of memory, {self.disk / GIB:.0f} GiB of free disk"


def look(where: Path) -> Machine:
    """Return what this machine has; ``where`` is a folder on the disk that the build would fill."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    there = next(path for path in (where, *where.absolute().parents) if path.exists())
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory=min([memory, *_limits()]),
        disk=shutil.disk_usage(there).free,
    )


def require_room(machine: Machine, *, disk: int, what: str) -> None:
    """Raise TooSmallError, with the figures, if a build that needs ``disk`` more bytes, and one job, would not fit."""
    needs = MEMORY_OF_BAZEL + MEMORY_OF_A_JOB
    faults = []
    if machine.disk < disk:
        faults.append(f"{disk / GIB:.0f} GiB of free disk, and there are {machine.disk / GIB:.0f}")
    if machine.memory < needs:
        faults.append(f"{needs / GIB:.0f} GiB of memory for one job, and there are {machine.memory / GIB:.0f}")
    if faults:
        message = f"{what} needs {' and '.join(faults)}"
        raise TooSmallError(message)


def _limits() -> list[int]:
    """Return the limits of memory of this container, in bytes."""
    texts = [path.read_text(encoding="ascii").strip() for path in LIMITS if path.is_file()]
    return [int(text) for text in texts if text.isdecimal()]
