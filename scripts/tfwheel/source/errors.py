"""Errors of the room `source`, by kind."""

from __future__ import annotations

from tfwheel.errors import FactoryError, ProgramError, UsageError


class BazelError(ProgramError):
    """Bazel could not do its work, for a reason that is not in the sources."""

    default_remedy = "Read the log; what Bazel finished is kept, and the same command goes on there."


class RemoteServerError(BazelError):
    """A remote cache or executor cannot be reached, refuses, or broke off."""

    default_remedy = (
        "Correct the address, start that server, or see that a container here reaches it; the header that it may ask "
        "for is in $TFWHEEL_REMOTE_HEADER. What Bazel finished is kept, and the same command goes on there."
    )


class SourceCompileError(FactoryError):
    """Correct the source or its patch: TensorFlow, or what it is compiled with, does not compile."""

    exit_code = 37
    default_remedy = (
        "Correct the source named above by a patch; what compiled is kept, and the same command goes on there."
    )


class CheckoutError(SourceCompileError):
    """A tree that others wrote cannot be fetched, or used as it is."""

    default_remedy = "Correct the address and the commit of that tree, or the tree itself."


class RemoteAddressError(UsageError):
    """The address of a remote cache or of remote execution is none, or has a password in it."""

    default_remedy = "Give its credentials as a header in $TFWHEEL_REMOTE_HEADER, as in `Authorization: Bearer ...`."


class BuildStoppedError(FactoryError):
    """Run the same command again: the build was stopped before its end, and goes on where it stopped."""

    exit_code = 38
    default_remedy = "Run the same command again, on this machine or with the same caches: it goes on where it stopped."


class TooSmallError(FactoryError):
    """Take a larger machine, or fewer jobs: disk or memory is too small for that build."""

    exit_code = 39
    default_remedy = (
        "Take a larger machine, or have another one compile (`--remote-executor`); index/docs/source.md says how."
    )


class OutOfMemoryError(TooSmallError):
    """The kernel ended a part of a build: memory ran out."""

    default_remedy = "Take fewer jobs at once, or a machine with more memory; what compiled is kept."
