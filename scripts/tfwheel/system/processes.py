"""Start programs (no other module does): echo the command line, keep the output, raise an error on failure."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, NoReturn

from tfwheel.system import console, scratch
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 25
GRACE_S = 10  # seconds between SIGTERM and SIGKILL


class Programs:
    """Running programs, started by several threads, that any thread can end together."""

    def __init__(self) -> None:
        """Start without a running program."""
        self.ended = False
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def end(self) -> None:
        """End all running programs and their children, and each one that starts later: `run` raises CommandError."""
        with self._lock:
            self.ended = True
            running = list(self._running)
        for process in running:
            _end(process)

    def running(self) -> list[subprocess.Popen[str]]:
        """Return the running programs; for signal handlers: it takes no lock."""
        return list(self._running)

    @contextmanager
    def holding(self, process: subprocess.Popen[str]) -> Iterator[None]:
        """Count a program as running while the block runs."""
        with self._lock:
            self._running.add(process)
        try:
            if self.ended:
                _end(process)
            yield
        finally:
            with self._lock:
                self._running.discard(process)


_all = Programs()


def end_all() -> None:
    """Ask all running programs of this process, and their children, to end; for signal handlers: waits for nothing."""
    for process in _all.running():
        _signal(process, signal.SIGTERM)


def become(argv: Sequence[str | Path], *, env: Mapping[str, str]) -> NoReturn:
    """Let a program take the place of this one, with its terminal; ``env`` is added to the environment.

    Raises CommandError when it cannot be started.
    """
    words = [str(word) for word in argv]
    console.detail(f"$ {shlex.join(words)}")
    try:
        os.execvpe(words[0], words, {**os.environ, **env})  # noqa: S606 -- no shell reads the words
    except OSError as error:
        message = f"cannot start `{words[0]}`: {error.strerror}"
        raise CommandError(message) from error


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    log: Path | None = None,
    on_line: Callable[[str], object] | None = None,
    among: Programs | None = None,
) -> str:
    """Run a program to its end and return its output (stdout and stderr in order, as text).

    ``env`` is added to this process's environment; None takes a variable out of it. ``log`` receives the command line
    and the output while the program runs, ``on_line`` each line of the output. ``among.end()`` ends the program, too.
    Raises CommandError with the output when the program exits non-zero or cannot be started.
    """
    words = [str(word) for word in argv]
    line = shlex.join(words)
    added: dict[str, str | None] = {**os.environ, **scratch.mark(), **(env or {})}
    console.detail(f"$ {line}" + (f"  (in {cwd})" if cwd else ""))
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env={name: value for name, value in added.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            umask=0o022,  # the modes of files in a wheel must not depend on who builds it
        )
    except OSError as error:
        message = f"cannot start `{words[0]}`: {error.strerror or error} ({error.filename})"
        raise CommandError(message) from error
    with process, _all.holding(process), among.holding(process) if among else nullcontext():
        output = _collect(process, line, log, on_line)
    if process.returncode:
        tail = "\n".join(output.splitlines()[-TAIL_LINES:])
        message = f"`{line}` ended with exit code {process.returncode}" + (f"\n{tail}" if tail else "")
        raise CommandError(message, output=output, returncode=process.returncode)
    return output


def _collect(
    process: subprocess.Popen[str], line: str, log: Path | None, on_line: Callable[[str], object] | None
) -> str:
    """Collect the output line by line, also in ``log``, so that a killed run leaves its output there."""
    lines: list[str] = []
    try:
        with log.open("a", encoding="utf-8", errors="backslashreplace") if log else nullcontext() as handle:
            if handle:
                handle.write(f"$ {line}\n")
            for text in process.stdout or ():
                lines.append(text)
                if handle:
                    handle.write(text)
                    handle.flush()
                if on_line:
                    on_line(text.rstrip("\n"))
            process.wait()
    except BaseException:
        _end(process)
        raise
    return "".join(lines)


def _end(process: subprocess.Popen[str]) -> None:
    """End the program and its child processes."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
    try:
        process.wait(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError):  # another thread may have ended it a moment ago
        os.killpg(process.pid, number)
