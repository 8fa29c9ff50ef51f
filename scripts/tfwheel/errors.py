"""The base of every failure that is reported, and the failures that belong to no single room."""

from __future__ import annotations

from typing import ClassVar


class FactoryError(Exception):
    """Base of all reported failures; doors print it and exit with ``exit_code``.

    ``message`` says what is wrong and where; ``remedy`` says what to do next. A raise site that knows a
    better remedy than its class passes one.
    """

    exit_code: ClassVar[int] = 1
    default_remedy: ClassVar[str] = "Run again with the log above at hand; if it stays, open an issue with it."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        """Keep the two texts apart, so that a door can set them apart too."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.default_remedy

    def __str__(self) -> str:
        """Both texts, for where no door prints them."""
        return f"{self.message}\n  remedy: {self.remedy}"


class BadWheelError(FactoryError):
    """A wheel that is hostile, broken or not what its own directory says."""

    exit_code = 40
    default_remedy = "Nothing was written. Fetch or build the wheel again; never publish this one."


class UnexpectedError(FactoryError):
    """A fault of this program itself."""

    exit_code = 90
    default_remedy = "This is a bug: open an issue with the traceback above."


class InterruptedRunError(FactoryError):
    """Stopped by the user."""

    exit_code = 130
    default_remedy = "Nothing half-written was kept; run the same command to go on."
