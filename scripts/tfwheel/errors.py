"""Define the base class of all reported errors, and the kinds of error that several rooms share.

A kind is a class with its own ``exit_code``, by which a script can recognise it. Its docstring is its row in
index/docs/errors.md. A new error derives from a kind, in the errors.py of its room, and needs no exit code. A kind
without a remedy is never raised itself.
"""

from __future__ import annotations

from typing import ClassVar


class FactoryError(Exception):
    """Base class of all reported errors; the entry point prints it and exits with ``exit_code``.

    ``message`` says what is wrong and where; ``remedy`` says what to do next and defaults to ``default_remedy``.
    """

    exit_code: ClassVar[int] = 1
    default_remedy: ClassVar[str] = "Run again; if it fails again, open an issue and attach the log above."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        """Keep the two texts separate, so that they can be printed separately."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.default_remedy

    def __str__(self) -> str:
        """Return both texts, for tracebacks."""
        return f"{self.message}\n  remedy: {self.remedy}"


class UsageError(FactoryError):
    """Correct the command: it names a target, event, revision, file or URL that does not exist or is not allowed."""

    exit_code = 11
    default_remedy = "Correct the command; `--help` lists what it takes."


class NoAnswerError(FactoryError):
    """Run again later: a server did not answer, or answered with an error or a rate limit."""

    exit_code = 20


class WrongBytesError(FactoryError):
    """Do not use the file: its bytes are not those that were locked, recorded or signed."""

    exit_code = 21


class MissingToolError(FactoryError):
    """Install what this machine lacks: a compiler, CUDA toolkit, container engine, container image or Python."""

    exit_code = 30


class GpuCodeError(FactoryError):
    """Change the line or its library: the GPU code in it cannot be read, or cannot be rewritten as [retarget] asks."""

    exit_code = 33


class BadWheelError(FactoryError):
    """Do not install or publish the wheel: the archive is broken, hostile or contradicts its own RECORD or METADATA."""

    exit_code = 40
    default_remedy = "Fetch or build the wheel again; never publish this one."


class GateError(FactoryError):
    """Do not publish the wheel: a gate or a rule of the index rejects it."""

    exit_code = 50


class PublishError(FactoryError):
    """Run the same command again: publishing stopped half-way, and users still see what was there before."""

    exit_code = 72
    default_remedy = (
        "Correct the cause and run the same command again: it continues where it stopped and sends nothing twice."
    )


class ProgramError(FactoryError):
    """Read the output: a program failed, and no more specific error is known."""

    exit_code = 82


class OutOfMemoryError(FactoryError):
    """Free some memory: there is not enough of it."""

    exit_code = 84
    default_remedy = "End other programs, or raise the limit (`ulimit -v`), and run again."


class UnexpectedError(FactoryError):
    """Report a bug: this program itself is at fault."""

    exit_code = 90
    default_remedy = "Open an issue with the traceback above: this is a bug."


class InterruptedRunError(FactoryError):
    """Run the same command to continue: the user stopped it."""

    exit_code = 130
    default_remedy = "Run the same command to continue; nothing half-written was kept."
