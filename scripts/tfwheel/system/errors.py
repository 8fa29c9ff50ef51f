"""Failures of the machine: what is wrong, and what to do next."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class ChangesUnknownError(FactoryError):
    """Git cannot say which files changed since a revision."""

    exit_code = 18
    default_remedy = "Fetch the history (`git fetch --unshallow`, or `fetch-depth: 0` in CI) and give a revision of it."


class NotInCiError(FactoryError):
    """A step's output was asked for where there is no file for it."""

    exit_code = 19
    default_remedy = "Leave --github-output out on your own machine: the matrix is printed."


class DownloadError(FactoryError):
    """The package index could not be reached, or the transfer broke off."""

    exit_code = 20
    default_remedy = "Check the network and pip's configuration (`pip config list`), then run again."


class HashMismatchError(FactoryError):
    """A downloaded or cached file is not the one that was locked (size or sha256 differ)."""

    exit_code = 21
    default_remedy = (
        "The file was cut short, altered on the way, or replaced upstream. Nothing was kept; run again. "
        "If it stays, compare the hash with the project's page before you update the lock."
    )


class NoOfficialWheelError(FactoryError):
    """TensorFlow publishes no wheel for that version and Python."""

    exit_code = 13
    default_remedy = (
        "Take a Python that this TensorFlow supports, or add an [[exclude]] with its reason to targets.toml."
    )


class InterpreterMissingError(FactoryError):
    """The Python that a target is for is not on this machine."""

    exit_code = 61
    default_remedy = "Install it (`uv python install X.Y`, pyenv, or your distribution) and run again."


class DiskFullError(FactoryError):
    """No space left on the device."""

    exit_code = 80
    default_remedy = "Free some space (an overlay build needs about 5 GB) and run again; nothing was half-written."


class TargetBusyError(FactoryError):
    """Another build of the same target is running."""

    exit_code = 81
    default_remedy = "Wait for it to end, then run again."


class CommandError(FactoryError):
    """A program that ran and failed, where no better name for the failure is known.

    ``output`` is what it printed; ``returncode`` is negative where a signal ended it, None where it never started.
    """

    exit_code = 82
    default_remedy = "Read its output above."

    def __init__(
        self, message: str, *, output: str = "", returncode: int | None = None, remedy: str | None = None
    ) -> None:
        """Keep what happened, in which a caller may find a better name for the failure."""
        super().__init__(message, remedy=remedy)
        self.output = output
        self.returncode = returncode
