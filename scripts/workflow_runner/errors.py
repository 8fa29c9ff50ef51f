"""Failures of running a workflow here."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class WorkflowError(FactoryError):
    """A workflow that is not as GitHub reads it, or that has what cannot be rehearsed here."""

    exit_code = 86
    default_remedy = "Correct the file in .github/workflows/; `nox -s lint` checks all of them."


class RehearsalError(FactoryError):
    """A job of a workflow that failed when it was run on this machine."""

    exit_code = 87
    default_remedy = "Read what the step printed above: it would fail in CI the same way."
