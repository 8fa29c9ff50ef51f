"""Errors of the room `colab`, by kind."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class RuntimeChangedError(FactoryError):
    """Look at the report: Colab or the official TensorFlow changed, and nothing that fitted stops fitting."""

    exit_code = 60
    default_remedy = (
        "Copy the newer files into build_config/colab/, as its README.md says, and build what the report names."
    )


class FitLostError(FactoryError):
    """Act: a published wheel that fits the newest stored runtime of Colab does not fit the newer one."""

    exit_code = 61
    default_remedy = (
        "Build and publish what the report names under `What to build next`, before users get that runtime."
    )
