"""Run the action of every command-line script: report failures and turn them into exit codes."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import TYPE_CHECKING

from tfwheel.errors import FactoryError, InterruptedRunError, UnexpectedError
from tfwheel.system import console, urls
from tfwheel.system.errors import DiskFullError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def enter(parser: argparse.ArgumentParser, action: Callable[[argparse.Namespace], None]) -> int:
    """Parse the arguments, run the action, and return the exit code (0, or that of the kind of error)."""
    parser.add_argument("--verbose", action="store_true", help="print every command that is run")
    arguments = parser.parse_args()
    console.verbose = arguments.verbose
    try:
        action(arguments)
    except FactoryError as error:
        return _report(error)
    except KeyboardInterrupt:
        return _report(InterruptedRunError("interrupted"))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _report(DiskFullError(f"no space left: {error.filename or error}"))
        return _unexpected(error)
    except Exception as error:  # noqa: BLE001 -- the last catch: report whatever it is
        return _unexpected(error)
    return 0


def _report(error: FactoryError) -> int:
    console.say(f"error: {error.message}")
    console.say(f"  what to do: {error.remedy}")
    console.say(f"  ({type(error).__name__}, exit code {error.exit_code})")
    return error.exit_code


def _unexpected(error: Exception) -> int:
    sys.stderr.write(urls.masked("".join(traceback.format_exception(error))))
    return _report(UnexpectedError(f"{type(error).__name__}: {error}"))
