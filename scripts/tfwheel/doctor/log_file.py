"""Read the log that a user gives, and say how to make one."""

from __future__ import annotations

import sys

from tfwheel.doctor.listing import ListingError

HOW_TO_LOG = (
    "To make one: `pip install … 2>&1 | tee install.log` (in a cell `!pip …`, or `%pip install --log install.log …`), "
    "then `--log install.log`."
)


def read_log(path: str) -> str:
    """Return the text of a log, of standard input for "-"; raise ListingError where there is none."""
    if path == "-" and not sys.stdin:
        message = "standard input is closed"
        raise ListingError(message)
    try:
        if path == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as stream:  # noqa: PTH123 -- the text of the user
                data = stream.read()
    except (OSError, ValueError) as error:
        missing = f"\n{HOW_TO_LOG}" if isinstance(error, FileNotFoundError) else ""
        message = f"{path} cannot be read: {error}{missing}"
        raise ListingError(message) from error
    if not data.strip() and sys.argv[0] == "-":
        message = "the log is empty: this program itself came by standard input. Give the log as a file: `--log FILE`."
        raise ListingError(message)
    if not data.strip():
        message = f"the log is empty: {'standard input' if path == '-' else path} has no text.\n{HOW_TO_LOG}"
        raise ListingError(message)
    return data.decode("utf-8", "replace")
