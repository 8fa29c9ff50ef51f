"""Failures of reading GPU code: what is wrong, and what to do next."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class ToolchainError(FactoryError):
    """The CUDA parts could not be put together into a working toolchain."""

    exit_code = 32
    default_remedy = "Delete the toolchain folder named above and run `nox -s toolchain` again."


class FatbinError(FactoryError):
    """GPU code in a library that this program cannot read."""

    exit_code = 33
    default_remedy = (
        "A newer CUDA writes another container format: compare with `cuobjdump -lelf -lptx` and extend fatbin.py, "
        "or fetch or build the library again if it was cut."
    )
