"""Failures of gates and smoke tests: what is wrong, and what to do next."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class ContentsGateError(FactoryError):
    """The wheel holds something other than its base plus the declared changes."""

    exit_code = 50
    default_remedy = "Declare the change in build_config/, or remove what brought the member in."


class RunpathGateError(FactoryError):
    """A TensorFlow library lost or changed its RUNPATH, so CUDA would not be found at run time."""

    exit_code = 51
    default_remedy = "Never let a tool rewrite TensorFlow's own libraries; only the ops wheel is repaired."


class GraftGateError(FactoryError):
    """A CUDA or TensorFlow library was copied into the wheel."""

    exit_code = 52
    default_remedy = "Name the library in repair.toml's `exclude` and rebuild."


class PlatformGateError(FactoryError):
    """The wheel needs a newer platform than the policy ceiling allows."""

    exit_code = 53
    default_remedy = "Build the ops on an older distribution, or raise `ceiling` in repair.toml if every user has it."


class ArchGateError(FactoryError):
    """GPU code in the built libraries differs from what the line promises."""

    exit_code = 54
    default_remedy = "Compare `archs` and `ptx` of the line in lines.toml with the compiler's flags in the log."


class SizeGateError(FactoryError):
    """The wheel is larger than the limit."""

    exit_code = 55
    default_remedy = "Drop GPU archs of the line, or raise `max_bytes` in repair.toml (hosts refuse 2 GiB and more)."


class MetadataGateError(FactoryError):
    """METADATA, WHEEL or the file name are invalid or disagree."""

    exit_code = 56
    default_remedy = "Correct version, label or requirements in build_config/targets.toml."


class RetargetGateError(FactoryError):
    """GPU code in a retargeted library is not what was promised, kept or compiled."""

    exit_code = 58
    default_remedy = "Never publish this library. Delete the cached parts of the retarget and build again."


class UntouchedGateError(FactoryError):
    """A retargeted library differs from the official one where it must not."""

    exit_code = 59
    default_remedy = "Never publish this library. Delete the cached parts of the retarget and build again."


class SmokeError(FactoryError):
    """The installed wheel does not do what it must."""

    exit_code = 60
    default_remedy = "Read the log named above; the wheel was not published."


class GpuRequiredError(FactoryError):
    """``--require-gpu`` was given and no GPU did the work."""

    exit_code = 62
    default_remedy = "Run on a machine where `nvidia-smi` lists a GPU, or leave --require-gpu out."
