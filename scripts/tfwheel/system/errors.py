"""Errors of the room `system`, by kind."""

from __future__ import annotations

from tfwheel.errors import FactoryError, MissingToolError, NoAnswerError, ProgramError, UsageError, WrongBytesError

# --- usage -----------------------------------------------------------------------------------------------


class ChangesUnknownError(UsageError):
    """Git cannot list the files changed since a revision, because the checkout does not have it."""

    default_remedy = "Fetch the history (`git fetch --unshallow`, or `fetch-depth: 0` in CI) and give a revision of it."


class NotInCiError(UsageError):
    """The output of a CI step was requested where no CI runs."""

    default_remedy = "Leave --github-output out on your own machine: the matrix is printed."


class NoOfficialWheelError(UsageError):
    """TensorFlow publishes no wheel for that version and Python."""

    default_remedy = (
        "Take a Python that this TensorFlow supports, or add an [[exclude]] with its reason to targets.toml."
    )


# --- network ---------------------------------------------------------------------------------------------


class DownloadError(NoAnswerError):
    """A server could not be reached, or the transfer broke off."""

    default_remedy = "Check that a server answers at that address, and the network; then run again."


class PackageIndexError(DownloadError):
    """pip's index could not be reached, or has not what was asked for."""

    default_remedy = "Check the network and pip's configuration (`pip config list`), then run again."


# --- bytes -----------------------------------------------------------------------------------------------


class HashMismatchError(WrongBytesError):
    """A downloaded or cached file does not have the locked size or sha256."""

    default_remedy = (
        "Run again: the file was cut short, altered on the way or replaced upstream, and was not kept. "
        "If it stays, compare the hash with the project's page before you update the lock."
    )


# --- the machine -----------------------------------------------------------------------------------------


class InterpreterMissingError(MissingToolError):
    """This machine lacks the Python that a target needs."""

    default_remedy = "Install it (`uv python install X.Y`, pyenv, or your distribution) and run again."


class ContainerEngineError(MissingToolError):
    """docker, podman or cibuildwheel is missing, or cannot start a container."""

    default_remedy = "Install one (`sudo apt-get install podman`, or Docker), or start its daemon."


class ContainerImageError(MissingToolError):
    """The container image is not on this machine and cannot be pulled."""

    default_remedy = "Correct the name, or make an image from your distribution: tests/container/bootstrap-image NAME."


class DiskFullError(FactoryError):
    """Free disk space: the device is full."""

    exit_code = 80
    default_remedy = "Free some space (a build needs about 8 GB) and run again; nothing was half-written."


class FileAccessError(FactoryError):
    """Correct the file or folder named in the message: it cannot be read or written."""

    exit_code = 83
    default_remedy = "Correct that path or its permissions, and run again."


class UnsafeFolderError(FileAccessError):
    """Other users could change what this program writes into a temporary folder."""

    default_remedy = "Delete it (or `chmod 700` it if it is yours), or set TMPDIR to a folder of your own."


class NoCacheFolderError(FileAccessError):
    """The user has no home folder, and XDG_CACHE_HOME names no other place for the cache."""

    default_remedy = "Set XDG_CACHE_HOME to a folder of your own, as an absolute path."


class TargetBusyError(FactoryError):
    """Wait and run again: another process builds this target, or publishes to this site or ledger."""

    exit_code = 81
    default_remedy = "Wait for it to end, then run again."


class CommandError(ProgramError):
    """A program failed or did not start.

    ``output`` is its output; ``returncode`` is negative where a signal ended it, None where it never started.
    """

    default_remedy = "Read its output above."

    def __init__(
        self, message: str, *, output: str = "", returncode: int | None = None, remedy: str | None = None
    ) -> None:
        """Keep output and exit code: a caller may derive a more specific error from them."""
        super().__init__(message, remedy=remedy)
        self.output = output
        self.returncode = returncode
