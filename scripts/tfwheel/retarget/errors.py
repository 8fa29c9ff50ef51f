"""Failures of retargeting: what is wrong, and what to do next."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class PtxError(FactoryError):
    """Portable GPU code that ptxas does not take."""

    exit_code = 43
    default_remedy = (
        "Pin a newer ptxas (`tools` of the line's [retarget] in lines.toml), or leave the arch out of its lists."
    )


class UnknownArchError(FactoryError):
    """An arch that ptxas does not know, or that the library's portable code cannot give."""

    exit_code = 44
    default_remedy = "Correct `archs` or `generated` of the line's [retarget] in lines.toml, or pin a newer ptxas."


class NoGpuCodeError(FactoryError):
    """A library that was to be retargeted and has no GPU code."""

    exit_code = 45
    default_remedy = "Leave [retarget] out of a line whose base has no GPU code."


class DoesNotFitError(FactoryError):
    """GPU code for the wanted archs that is larger than what the library has room for."""

    exit_code = 46
    default_remedy = "Drop an arch from the line's [retarget] in lines.toml; the message above has their sizes."


class RelocationError(FactoryError):
    """A pointer to GPU code that this program does not know how to move."""

    exit_code = 47
    default_remedy = "Do not retarget this library: it was linked in a way that pointers.py has not seen."


class AlreadyRetargetedError(FactoryError):
    """A library whose GPU code was rewritten before, or is what the line asks for already."""

    exit_code = 48
    default_remedy = (
        "Start from the official library; if that has all that is wanted, leave [retarget] out of the line."
    )


class UnknownLayoutError(FactoryError):
    """A library whose sections are not those of the official ones that this program knows."""

    exit_code = 49
    default_remedy = "Fetch the library again if it was cut; otherwise do not retarget it."


class XlaCeilingError(FactoryError):
    """A library whose built-in CUDA version for XLA is not where, or not what, the data of its TensorFlow says."""

    exit_code = 57
    default_remedy = (
        "Nothing was written. Fetch the library again if it was cut; for another TensorFlow make its file in "
        "build_config/xla/ anew, or leave `xla` out of the line's [retarget] in lines.toml."
    )
