"""Failures of an imitation: the wheel or the notebook does not do what it must, or the runtime cannot be imitated."""

from __future__ import annotations

from tfwheel.errors import GateError, UsageError


class ImitationError(GateError):
    """A wheel does not fit an imitated runtime: an installation changed or broke what it must not."""

    default_remedy = "Read the report named above, and correct the wheel or its requirements before publishing it."


class NotebookError(GateError):
    """The notebook of the index does not run to its end, or its outputs are not what it promises."""

    default_remedy = "Correct index/colab.ipynb, or what it calls, and run `nox -s notebook` again."


class NoTargetError(UsageError):
    """The notebook cannot be filled in: nothing that is built is for the newest runtime."""

    default_remedy = "Add its TensorFlow and Python to build_config/targets.toml, or write the parameters by hand."


class UnknownRuntimeError(UsageError):
    """A runtime was named that has no snapshot."""


class NoImitationError(UsageError):
    """A snapshot cannot be imitated here: a package that must be in it is not, or not for this machine."""

    default_remedy = "Name another runtime; build_config/colab/runtimes.toml lists them."
