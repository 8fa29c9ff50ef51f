"""Errors of the room `wheel`, by kind."""

from __future__ import annotations

from tfwheel.errors import FactoryError, GateError


class PatchError(FactoryError):
    """Make the patch again: it does not apply exactly."""

    exit_code = 41
    default_remedy = "Make the patch again, against the TensorFlow version that its folder names."


# --- gates -----------------------------------------------------------------------------------------------


class SbomGateError(GateError):
    """The SBOM inside the wheel is missing, broken or of another wheel."""

    default_remedy = "Build the wheel again: the build writes the SBOM, nothing else may."


class IndexEntryError(GateError):
    """The index must not list the wheel: its name, metadata, size or smoke test does not qualify."""

    default_remedy = "Build and smoke-test the target again; only what passed is listed."
