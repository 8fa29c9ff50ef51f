"""Runs the steps of one workflow job on this machine, in order, and returns its result."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfwheel.errors import FactoryError
from tfwheel.system import console
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from workflow_runner import actions, expressions
from workflow_runner.errors import RehearsalError, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from workflow_runner.actions import Machine
    from workflow_runner.expressions import Function
    from workflow_runner.workflows import Step, WorkflowJob

    Values = Mapping[str, Any]

SUCCESS, FAILURE, SKIPPED = "success", "failure", "skipped"
# Variables of this program's environment that a fresh machine does not have.
DROPPED = re.compile(r"VIRTUAL_ENV|PYTHON(PATH|HOME)|(COVERAGE|NOX|PYTEST)_.*|(GITHUB|GH)_TOKEN|UV_(PYTHON|PROJECT_.*)")
OUTPUT = re.compile(r"(?P<name>[\w-]+)=(?P<value>.*)")


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """The result of a job: success, failure (``fault`` says where) or skipped; and its outputs."""

    result: str
    outputs: Values = field(default_factory=dict)
    fault: str = ""


def run_all(job: WorkflowJob, *, machine: Machine, context: Values, env: Values) -> StepResult:
    """Run the steps of a job; after a failed step, only those with ``always()`` or ``failure()`` run.

    ``context`` has the values for expressions, ``env`` the variables of workflow and job. Raises WorkflowError for a
    step that cannot be rehearsed.
    """
    return _Steps(machine=machine, context=dict(context), env=dict(env)).run(job)


def expanded(value: object, context: Values) -> str:
    """Expand a value of ``with``, ``env`` or ``outputs`` to its text."""
    return expressions.as_text(expressions.expand(value, context) if isinstance(value, str) else value)


def status(*, failed: bool, fine: bool) -> dict[str, Function]:
    """Return the status functions for ``if:`` conditions."""
    return {"always": lambda: True, "cancelled": lambda: False, "failure": lambda: failed, "success": lambda: fine}


@dataclass(kw_only=True)
class _Steps:
    """The steps of one job, on one machine."""

    machine: actions.Machine
    context: dict[str, Any]
    env: Values
    faults: list[str] = field(default_factory=list)

    def run(self, job: WorkflowJob) -> StepResult:
        self.context |= {"steps": {}, "runner": {"temp": str(self.machine.temp), "os": "Linux"}, "env": dict(self.env)}
        for number, step in enumerate(job.steps):
            self._step(step, self.machine.temp / f"step-{number}")
        outputs = {name: expanded(value, self.context) for name, value in job.outputs.items()}
        return StepResult(result=FAILURE if self.faults else SUCCESS, outputs=outputs, fault="\n".join(self.faults))

    def _step(self, step: Step, folder: Path) -> None:
        outcome, outputs = SKIPPED, dict[str, str]()
        functions = status(failed=bool(self.faults), fine=not self.faults) | {"hashFiles": self._hash_files}
        if expressions.condition(step.condition, self.context, functions):
            console.say(f"  > {step.title}")
            outcome = SUCCESS
            folder.mkdir()
            try:
                outputs = self._do(step, folder)
            except WorkflowError:
                raise
            except FactoryError as error:
                outcome = FAILURE
                self.faults.append(f"step `{step.title}`: {error.message}")
        if step.id:
            self.context["steps"][step.id] = {"outcome": outcome, "outputs": outputs}

    def _do(self, step: Step, folder: Path) -> dict[str, str]:
        if step.uses:
            given = {name: expanded(value, self.context) for name, value in step.given.items()}
            actions.perform(step.uses, given, self.machine)
            return {}
        script, output, summary = folder / "script.sh", folder / "output.txt", folder / "summary.md"
        script.write_text(f"{step.run}\n", encoding="utf-8")
        output.touch()
        variables = {name: expanded(value, self.context) for name, value in (dict(self.env) | step.env).items()}
        variables |= {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary), **self._machine_variables()}
        without = [word for name in os.environ if DROPPED.fullmatch(name) for word in ("-u", name)]
        place = self.machine.workspace if self.machine.workspace.is_dir() else folder
        try:
            run(["env", *without, "bash", "-e", script], cwd=place, env=variables, on_line=console.say)
        except CommandError as error:
            message = f"exit code {error.returncode}"
            raise RehearsalError(message) from error
        return dict(_outputs(output))

    def _machine_variables(self) -> dict[str, str]:
        github = self.context["github"]
        texts = {f"GITHUB_{name.upper()}": value for name, value in github.items() if isinstance(value, str)}
        del texts["GITHUB_TOKEN"]  # a step gets it only if the YAML passes it on
        return texts | {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.machine.workspace),
            "RUNNER_TEMP": str(self.machine.temp),
            "PATH": os.pathsep.join([*self.machine.path, os.environ["PATH"]]),
        }

    def _hash_files(self, pattern: str) -> str:
        """Return a digest of the matching files, empty if there are none."""
        files = sorted(path for path in self.machine.workspace.glob(pattern) if path.is_file())
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest() if files else ""


def _outputs(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        match = OUTPUT.fullmatch(line)
        if match is None:
            message = f"a line of $GITHUB_OUTPUT is not NAME=VALUE: {line}"
            raise RehearsalError(message)
        yield match["name"], match["value"]
