"""Runs one program and prints its seconds, processor time and memory as JSON; a standalone program, stdlib only."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

EVERY_S = 0.2
PAGE = os.sysconf("SC_PAGE_SIZE")


def main(argv: list[str]) -> int:
    """Print seconds, processor seconds and bytes of memory for a command line; returns the command's exit code.

    ``peak_bytes`` is the largest resident set of the process or of any of its waited-for children (``wait4(2)``),
    ``peak_together`` the largest sum over all live processes, sampled 5 times a second (``proc(5)``).
    """
    start = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=quiet)
    together = 0
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        together = max(together, resident(pid))
        time.sleep(EVERY_S)
    facts = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
        "peak_together": max(together, usage.ru_maxrss * 1024),
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    return os.waitstatus_to_exitcode(status)


def resident(root: int) -> int:
    """Return the resident bytes of a process and its descendants."""
    parents, pages = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            # The name in the second field may have spaces; the fields after its bracket have none.
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            pages[int(path.name)] = int((path / "statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue  # the process has ended
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return PAGE * sum(pages.get(pid, 0) for pid in family)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
