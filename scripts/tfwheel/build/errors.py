"""Failures of building: what is wrong, and what to do next."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class NoCompilerError(FactoryError):
    """No usable compiler, and no right to install one."""

    exit_code = 30
    default_remedy = "Install one: `sudo apt-get install g++ clang-19`, or set CUDA_HOME to a matching CUDA toolkit."


class CompileError(FactoryError):
    """An op does not compile."""

    exit_code = 31
    default_remedy = "Correct the source named above; the compiler's own words are in the log."


class ContainerEngineError(FactoryError):
    """No docker or podman, one that cannot start a container, or no cibuildwheel to drive it."""

    exit_code = 34
    default_remedy = "Install one (`sudo apt-get install podman`, or Docker from docs.docker.com), or start its daemon."


class ContainerImageError(FactoryError):
    """The image to build in is neither on this machine nor to be had."""

    exit_code = 35
    default_remedy = "Correct the name, or make an image from your distribution: tests/container/bootstrap-image NAME."


class ContainerBuildError(FactoryError):
    """A step of the build in the container failed, and not because an op does not compile."""

    exit_code = 36
    default_remedy = "Read the log; [tool.cibuildwheel] in build_config/ops/pyproject.toml says what each step does."

    def __init__(self, message: str, *, step: str = "", output: str = "", remedy: str | None = None) -> None:
        """Keep the step and what it printed, in which a caller may find a better name for the failure."""
        super().__init__(message, remedy=remedy)
        self.step = step
        self.output = output


class RepairError(FactoryError):
    """auditwheel could not make the wheel portable."""

    exit_code = 42
    default_remedy = "Link only against libtensorflow_framework.so.2, or name the library in repair.toml's `exclude`."
