"""Errors of the room `checks`, by kind."""

from __future__ import annotations

from tfwheel.errors import FactoryError, GateError

# --- gates -----------------------------------------------------------------------------------------------


class ContentsGateError(GateError):
    """The wheel is not exactly its base plus the declared changes."""

    default_remedy = "Declare the change in build_config/, or remove what brought the member in."


class RunpathGateError(GateError):
    """The search path of a TensorFlow library is missing, changed or another than its line asks for."""

    default_remedy = "Repair only the ops wheel: no tool may rewrite TensorFlow's own libraries."


class GraftGateError(GateError):
    """A CUDA or TensorFlow library was copied into the wheel."""

    default_remedy = "Name the library in repair.toml's `exclude` and rebuild."


class PlatformGateError(GateError):
    """The wheel needs a newer platform than the ceiling allows."""

    default_remedy = "Build the ops on an older distribution, or raise `ceiling` in repair.toml if every user has it."


class SymbolsGateError(GateError):
    """A library of the wheel needs symbols or libraries that nobody has where it is loaded."""

    default_remedy = (
        "Compile the library against headers and libraries of this very TensorFlow, with _GLIBCXX_USE_CXX11_ABI=1, and "
        "link what has the symbols; with `-Wl,--no-undefined` the linker names each one that is missing."
    )


class ArchGateError(GateError):
    """The compute capabilities of the SASS or PTX in the built libraries are not those of the line."""

    default_remedy = (
        "Compare `archs` and `ptx` of the line in lines.toml with the compiler's flags in the log. Of ops for the CPU "
        'alone, or with code for more GPUs, say so: `archs = "none"` or "at-least" of that library in ops.toml.'
    )


class PromiseGateError(GateError):
    """The wheel has less GPU code than the plan promises, and so than the documents say."""

    default_remedy = (
        "Take what is missing out of `archs`, `generated` or `ptx` of the line's [retarget] in lines.toml; for a line "
        "without that table run `nox -s update-pins -- --renew`. `nox -s plan -- --gpus` then says what is left."
    )


class SizeGateError(GateError):
    """The wheel is larger than the limit."""

    default_remedy = "Drop GPU archs of the line, or raise `max_bytes` in repair.toml (hosts refuse 2 GiB and more)."


class MetadataGateError(GateError):
    """METADATA, WHEEL or the file name are invalid or contradict each other."""

    default_remedy = "Correct version, label or requirements in build_config/targets.toml."


class RetargetGateError(GateError):
    """The GPU code of a retargeted library is not what the line asks for, or an undeclared byte changed."""

    default_remedy = "Delete the cached parts of the retarget and build again; never publish this library."


# --- tests -----------------------------------------------------------------------------------------------


class SmokeError(FactoryError):
    """Do not publish the wheel: installed, it does not compute what it must."""

    exit_code = 60
    default_remedy = "Read the log named above; the wheel was not published."


class CompanionError(FactoryError):
    """Look into it before publishing: a project that works beside the official TensorFlow fails beside the wheel."""

    exit_code = 66
    default_remedy = "Read the logs of both runs, named above; the record of the wheel has every result."


class GpuRequiredError(FactoryError):
    """Use a machine with a GPU: `--require-gpu` was given, and no GPU computed anything."""

    exit_code = 62
    default_remedy = "Run on a machine where `nvidia-smi` lists a GPU, or leave --require-gpu out."
