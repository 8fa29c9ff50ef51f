"""Failures of reading and writing wheels: what is wrong, and what to do next."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class PatchError(FactoryError):
    """A patch that does not apply exactly."""

    exit_code = 41
    default_remedy = "Make the patch anew against the TensorFlow version that its folder names."


class SbomGateError(FactoryError):
    """The bill of materials (SBOM) inside the wheel is missing, broken, or of another wheel."""

    exit_code = 120
    default_remedy = "Build the wheel again: the build writes the SBOM, nothing else may."


class IndexEntryError(FactoryError):
    """A file that must not enter the index, or one that contradicts what is there."""

    exit_code = 70
    default_remedy = "Raise `build` in targets.toml: a published file name is never used for other bytes."
