"""Errors of rehearsing a workflow."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class RehearsalError(FactoryError):
    """Correct the workflow or the step: a job failed on this machine, or cannot be rehearsed."""

    exit_code = 87
    default_remedy = "Read the output of the step above: it would fail in CI the same way."


class WorkflowError(RehearsalError):
    """A workflow is not valid on GitHub, or uses something that cannot be rehearsed here."""

    default_remedy = "Correct the file in .github/workflows/; `nox -s lint` checks all of them."
