"""Errors of the room `build`, by kind."""

from __future__ import annotations

from tfwheel.errors import FactoryError, GateError, MissingToolError, ProgramError

# --- the machine -----------------------------------------------------------------------------------------


class NoCompilerError(MissingToolError):
    """No usable compiler was found, and there is no permission to install one."""

    default_remedy = "Install one: `sudo apt-get install g++ clang-19`, or set CUDA_HOME to a matching CUDA toolkit."


# --- the build -------------------------------------------------------------------------------------------


class CompileError(FactoryError):
    """Correct the source: an op does not compile."""

    exit_code = 31
    default_remedy = "Correct the source named above; the compiler's output is in the log."


class OpsSourceError(CompileError):
    """The sources of a custom-op project cannot be fetched, or it does not give what ops.toml says."""

    default_remedy = "Correct that project: what build_config/ops.toml says of it, or its files."


class ContainerBuildError(ProgramError):
    """A step of the container build failed for a reason other than an op that does not compile."""

    default_remedy = "Read the log; [tool.cibuildwheel] in build_config/ops/pyproject.toml says what each step does."

    def __init__(self, message: str, *, step: str = "", output: str = "", remedy: str | None = None) -> None:
        """Keep the step and its output, so that a caller can raise a more specific error."""
        super().__init__(message, remedy=remedy)
        self.step = step
        self.output = output


class RepairError(FactoryError):
    """Link the ops against fewer libraries: auditwheel could not make the wheel portable."""

    exit_code = 42
    default_remedy = (
        "Link only against libtensorflow_framework.so.2, name the library in repair.toml's `exclude` if every user has "
        "it, or allow the copy: `grafts` in ops.toml."
    )


# --- before a wheel is signed ----------------------------------------------------------------------------


class SourceWheelError(GateError):
    """What was built from source is not the TensorFlow that the target names."""

    default_remedy = "Correct the tree, or what build_config/eras/ says of it; the log has what Bazel made."


class OddPartsError(GateError):
    """A wheel is not what its official wheel, its ops wheel and the patches give, or belongs to no target."""

    default_remedy = (
        "Never sign it: it was changed after the build, or built from another configuration. Build it again."
    )


class UntrueRecordError(GateError):
    """A record says something else about its wheel than what is found in the file."""

    default_remedy = "Never sign the wheel: its record was changed after the build. Build it again."
