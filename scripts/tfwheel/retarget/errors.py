"""Errors of the room `retarget`: reasons not to rewrite a library."""

from __future__ import annotations

from tfwheel.errors import GpuCodeError


class PtxError(GpuCodeError):
    """ptxas cannot compile the PTX."""

    default_remedy = (
        "Pin a newer ptxas (`tools` of the line's [retarget] in lines.toml), or leave the arch out of its lists."
    )


class UnknownArchError(GpuCodeError):
    """ptxas does not know the arch, or the library has no PTX that can be compiled for it."""

    default_remedy = "Correct `archs` or `generated` of the line's [retarget] in lines.toml, or pin a newer ptxas."


class NoGpuCodeError(GpuCodeError):
    """A library that should be retargeted has no GPU code."""

    default_remedy = "Leave [retarget] out of a line whose base has no GPU code."


class DoesNotFitError(GpuCodeError):
    """The cubins of the wanted archs are larger than the room in the library."""

    default_remedy = (
        "Drop an arch from the line's [retarget] in lines.toml; the message above has the bytes. Where a few are "
        "lacking, the code of another ptxas (`tools`) may fit."
    )


class RelocationError(GpuCodeError):
    """A pointer to GPU code cannot be moved: its kind of relocation is unknown."""

    default_remedy = "Leave this library out of `libraries`: it was linked in a way that relocations.py cannot handle."


class AlreadyRetargetedError(GpuCodeError):
    """The GPU code of a library was rewritten before, or is exactly what the line asks for."""

    default_remedy = "Start from the official library; leave [retarget] out of the line if that has all it asks for."


class UnknownLayoutError(GpuCodeError):
    """The sections of a library are not laid out like those of the official ones."""

    default_remedy = "Fetch the library again if it was cut; otherwise do not retarget it."


class SearchPathError(GpuCodeError):
    """A library has not the one DT_RUNPATH that `rpath` of a line turns into DT_RPATH."""

    default_remedy = "Fetch the library again if it was cut; otherwise leave `rpath` out of the line in lines.toml."


class XlaCeilingError(GpuCodeError):
    """The CUDA version built into XLA is not where `build_config/xla/` declares it, or is another one."""

    default_remedy = (
        "Fetch the library again if it was cut; for another TensorFlow make its file in build_config/xla/ again, or "
        "leave `xla` out of the line's [retarget] in lines.toml. Nothing was written."
    )
