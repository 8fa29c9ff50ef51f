"""Errors of the room `gpu`, by kind."""

from __future__ import annotations

from tfwheel.errors import GpuCodeError, MissingToolError


class ToolchainError(MissingToolError):
    """The downloaded CUDA packages do not make a working toolchain."""

    default_remedy = "Delete the toolchain folder named above and run `nox -s toolchain` again."


class FatbinError(GpuCodeError):
    """A fatbin in a library cannot be read or written."""

    default_remedy = (
        "Fetch or build the library again if it was cut; a newer CUDA writes another format: compare with "
        "`cuobjdump -lelf -lptx` and extend fatbin.py."
    )
