"""Runs the chosen command, shows what it says, and proves the result."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tfwheel.doctor.probes import prove_tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UNPACKED = 4.0  # a wheel and what it unpacks to, as a multiple of the wheel's size
GIGABYTE = 1e9


def install_command(command: str, facts: Mapping[str, Any]) -> list[str]:
    """Return the argument list for a command that the selector printed; it runs without a shell.

    pip is that of this Python, and uv is told this Python, so that nothing lands in another one.
    """
    words = shlex.split(re.sub(r"^[%!]", "", command))
    if words[0] == "uv":
        rest = [word for word in words[3:] if word != "--system"]
        options = ["--python", sys.executable, *(["--break-system-packages"] if facts["colab"] else [])]
        return [facts["uv"] or shutil.which("uv") or "uv", "pip", "install", *options, *rest]
    return [sys.executable, "-m", *words]


def room_for(wheel: Mapping[str, Any], facts: Mapping[str, Any]) -> str | None:
    """Return why there is not enough disk for a wheel, None if there is or nobody knows."""
    needed = wheel["size"] * UNPACKED / GIGABYTE
    free = facts["disk_free_gb"]["packages"]
    if free is None or free >= needed:
        return None
    return f"The disk has {free} GB free, and this wheel needs about {needed:.1f} GB."


def run_install(argv: list[str], say: Callable[[str], None]) -> tuple[int, str]:
    """Run an installer, hand on each line as it comes, and return its exit code and all that it said."""
    lines = []
    try:
        with subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                say(line.rstrip("\n"))
            code = process.wait()
    except OSError as error:
        return 127, f"{argv[0]}: {error}"
    return code, "".join(lines)


def prove(say: Callable[[str], None]) -> dict[str, Any]:
    """Import what was installed in a process of its own, run ops there, and say what came of it."""
    say("Proving it: import, an op, and on a GPU some of its kernels, in a process of its own.")
    return prove_tensorflow()
