"""Runs one program and prints, as JSON, how long it took and the most memory it held; stdlib only, a program itself."""

from __future__ import annotations

import json
import os
import sys
import time


def main(argv: list[str]) -> int:
    """Print ``{"seconds": ..., "peak_bytes": ...}`` for a command line; returns the command's exit code.

    The peak is the largest resident set of the process or of any of its waited-for children (``wait4(2)``).
    """
    start = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    facts = {"seconds": time.perf_counter() - start, "peak_bytes": usage.ru_maxrss * 1024}
    sys.stdout.write(json.dumps(facts) + "\n")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
