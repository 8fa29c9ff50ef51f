"""Run the action of every command-line script: report failures and turn them into exit codes."""

from __future__ import annotations

import argparse
import io
import math
import os
import select
import signal
import sys
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from tfwheel.errors import FactoryError, InterruptedRunError, OutOfMemoryError, UnexpectedError
from tfwheel.system import console, files, processes, scratch, urls
from tfwheel.system.errors import FileAccessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

READER_GONE = 128 + signal.SIGPIPE  # what a shell shows for other programs whose reader has gone
DIGITS = 10
ENDING = (signal.SIGINT, signal.SIGTERM)
USUAL = (signal.default_int_handler, signal.SIG_DFL)


def enter(parser: argparse.ArgumentParser, action: Callable[[argparse.Namespace], None]) -> int:
    """Parse the arguments, run the action, and return the exit code (0, or that of the kind of error).

    Ctrl-C and SIGTERM end the programs that run, too. First removes what runs left that were killed.
    """
    parser.add_argument("--verbose", action="store_true", help="print every command that is run")
    try:
        with _ending_programs():
            _open_output()
            arguments = _parsed(parser)
            console.verbose = arguments.verbose
            with suppress(FactoryError):  # no home, no cache: who needs one says so
                scratch.sweep_at_start()
            action(arguments)
            _flush()
    except BrokenPipeError as error:
        gone = [stream for stream in (sys.stdout, sys.stderr) if _has_no_reader(stream)]
        if not gone:
            return _report(_meaning(error), cause=error)
        for stream in gone:
            _drop(stream.fileno())
        return READER_GONE  # without a word, as other programs end (`| head -1`)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 -- the last catch: report whatever it is
        return _report(_meaning(error), cause=error)
    return 0


def duration(word: str) -> int:
    """Read a time such as ``5h``, ``330m`` or ``90s`` into seconds, for the ``type`` of an argument."""
    number, unit = word[:-1], {"h": 3600, "m": 60, "s": 1}.get(word[-1:], 0)
    if not (unit and number.isascii() and number.isdecimal() and int(number[:DIGITS])):
        message = f"`{word}` is no time: write it as 5h, 330m or 90s"
        raise argparse.ArgumentTypeError(message)
    return unit * count(number)


def count(word: str) -> int:
    """Read a whole number that is not negative, for the ``type`` of an argument."""
    if not (word.isascii() and word.isdecimal() and len(word) < DIGITS):
        message = f"`{word}` is no whole number from 0 to {10 ** (DIGITS - 1) - 1:,}"
        raise argparse.ArgumentTypeError(message)
    return int(word)


def positive(word: str) -> int:
    """Read a whole number of 1 or more, for the ``type`` of an argument."""
    if count(word) == 0:
        message = "it must be 1 or more"
        raise argparse.ArgumentTypeError(message)
    return int(word)


def seconds(word: str) -> float:
    """Read a finite number of seconds that is not negative, for the ``type`` of an argument."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        message = f"`{word}` is no number of seconds, 0 or more"
        raise argparse.ArgumentTypeError(message)
    return number


def named(word: str) -> Path:
    """Read the path of a file or folder that has a name, unlike `/` and nothing, for the ``type`` of an argument."""
    if not Path(word).name:
        message = f"`{word}` names no file and no folder"
        raise argparse.ArgumentTypeError(message)
    return Path(word)


def filled(word: str) -> str:
    """Read a word that is not empty, as an unset variable of a shell or of CI is; for the ``type`` of an argument."""
    if not word.strip():
        message = "it is empty: give a value, or leave the option out"
        raise argparse.ArgumentTypeError(message)
    return word


@contextmanager
def _ending_programs() -> Iterator[None]:
    """While the block runs, let Ctrl-C and SIGTERM end all running programs and raise KeyboardInterrupt.

    They are in process groups of their own, which a terminal does not reach; and threads that wait for them would keep
    this process waiting. A signal that is ignored, as for `nohup`, stays ignored.
    """

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        processes.end_all()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in ENDING if signal.getsignal(number) in USUAL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    try:
        return parser.parse_args()
    except SystemExit:  # after `--help`, too, its text may find no reader
        _flush()
        raise


def _open_output() -> None:
    """Make printing an error where the standard output is closed (`>&-`), and never one because of a character."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _flush() -> None:
    """Write what was printed; an error of the output is an error of the run."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop(sys.stdout.fileno())
        raise files.failure(error) from error


def _has_no_reader(stream: TextIO) -> bool:
    """Return whether a stream is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(stream, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _drop(descriptor: int) -> None:
    """Let Python write what it still holds for a stream to nowhere when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _meaning(error: BaseException) -> FactoryError:
    """Return the error that is reported: what the machine refuses is no bug."""
    match error:
        case FactoryError():
            return error
        case KeyboardInterrupt():
            return InterruptedRunError("interrupted")
        case OSError():
            return files.failure(error)
        case UnicodeError():
            return FileAccessError(f"a file or a name is not UTF-8: {error}")
        case MemoryError():
            return OutOfMemoryError("this machine has no memory left")
    return UnexpectedError(f"{type(error).__name__}: {error}")


def _report(error: FactoryError, *, cause: BaseException | None = None) -> int:
    with suppress(BrokenPipeError):
        if isinstance(error, UnexpectedError) or (console.verbose and cause is not error):
            sys.stderr.write(urls.masked("".join(traceback.format_exception(cause))))
        console.say(f"error: {error.message}")
        console.say(f"  what to do: {error.remedy}")
        console.say(f"  ({type(error).__name__}, exit code {error.exit_code})")
    try:
        _flush()
    except (FactoryError, BrokenPipeError):
        _drop(sys.stdout.fileno())  # else Python would try again when it ends, with words of its own
    return error.exit_code
