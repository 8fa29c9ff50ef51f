"""Runs the jobs of a workflow on this machine from its YAML, to rehearse CI before pushing.

Each job gets a clean clone of this checkout (with uncommitted changes), each ``run`` step its own bash, each action
its equivalent in ``actions.py``; anything else raises WorkflowError. Timeouts and permissions are ignored.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from tfwheel.system import console, git
from workflow_runner import actions, expressions, steps, workflows
from workflow_runner.errors import RehearsalError, WorkflowError
from workflow_runner.steps import FAILURE, SKIPPED, SUCCESS, StepResult

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from workflow_runner.workflows import Workflow, WorkflowJob

    Values = Mapping[str, Any]

REFS = {"pull_request": "refs/pull/1/merge"}
MAIN = "refs/heads/main"
AUTHOR = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false")
BY_HAND = ("workflow_call", "workflow_dispatch")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Why the workflow runs: GitHub's name of the event, and what comes with it.

    ``inputs`` are those of a call or of a start by hand, ``labels`` those of the pull request, ``base`` is the commit
    that it would be merged into (default: HEAD, so that only uncommitted changes are new).
    """

    event: str = "pull_request"
    inputs: Values = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    base: str = "HEAD"


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Parse words NAME=VALUE as a table; WorkflowError for any other word."""
    table = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            message = f"`{word}` is not NAME=VALUE"
            raise WorkflowError(message, remedy="Write, for example, `--row id=tf2.20.0-cp312-cu12`.")
        table[name] = value
    return table


@dataclass(kw_only=True)
class Rehearsal:
    """One run of a workflow of ``checkout``; all output is in ``folder``, which is emptied first.

    ``rows`` selects rows of a matrix by the values that they must have.
    """

    checkout: Path
    folder: Path
    occasion: Event = field(default_factory=Event)
    rows: Mapping[str, str] = field(default_factory=dict)
    github: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Start with only a clone of the checkout, uncommitted changes included."""
        shutil.rmtree(self.folder, ignore_errors=True)
        base, head = _clone(self.checkout, self.origin, base=self.occasion.base)
        ref = REFS.get(self.occasion.event, MAIN)
        self.github = {
            "event_name": self.occasion.event,
            "event": self._payload(base),
            "ref": ref,
            "ref_name": ref.split("/", 2)[2],
            "repository": "rehearsal/rehearsal",
            "run_attempt": "1",
            "run_id": "1",
            "server_url": "https://rehearsal.invalid",  # wheels built here must not claim to come from GitHub
            "sha": head,
            "token": "",
        }

    @property
    def origin(self) -> Path:
        """The repository that the jobs clone."""
        return self.folder / "origin"

    @property
    def artifacts(self) -> Path:
        """The folder with one folder for each uploaded artifact."""
        return self.folder / "artifacts"

    def workspace(self, job: str) -> Path:
        """Return the checkout of a job; a matrix row is named ``<job> <first value of the row>``, called jobs below."""
        return self.folder / "jobs" / job / "workspace"

    def rehearse(self, name: str, jobs: Collection[str] = ()) -> dict[str, StepResult]:
        """Run the workflow of that file name; returns the result of each job.

        Only ``jobs`` run (default: all); every other one counts as successful, without outputs. Raises RehearsalError
        when a job fails, after all other jobs that can run, and WorkflowError for anything that cannot be rehearsed.
        """
        workflow = workflows.load(self.checkout / ".github" / "workflows" / name)
        if self.occasion.event not in workflow.on and "workflow_call" not in workflow.on:
            message = f"{name} does not run on {self.occasion.event}, only on {', '.join(workflow.on)}"
            raise WorkflowError(message)
        self.github["workflow_ref"] = f"{self.github['repository']}/.github/workflows/{name}@{self.github['ref']}"
        results = self._workflow(workflow, self.occasion.inputs, jobs, place=())
        faults = [f"{name}, job {job}: {found.fault}" for job, found in results.items() if found.result == FAILURE]
        if faults:
            raise RehearsalError("\n".join(faults))
        return results

    # --- jobs --------------------------------------------------------------------------------------------

    def _workflow(
        self, workflow: Workflow, inputs: Values, chosen: Collection[str], *, place: tuple[str, ...]
    ) -> dict[str, StepResult]:
        unknown = sorted(
            {*chosen, *(need for job in workflow.jobs.values() for need in job.needs)} - set(workflow.jobs)
        )
        if unknown:
            message = f"the workflow {workflow.name} has no job {', '.join(unknown)}; it has {', '.join(workflow.jobs)}"
            raise WorkflowError(message)
        given = _inputs(workflow, inputs, event=self.occasion.event, called=bool(place))
        results: dict[str, StepResult] = {}
        for name in TopologicalSorter({name: job.needs for name, job in workflow.jobs.items()}).static_order():
            if chosen and name not in chosen:
                results[name] = StepResult(result=SUCCESS)
                continue
            job = workflow.jobs[name]
            needs = {need: results[need] for need in job.needs}
            context = {
                "github": self.github,
                "inputs": given,
                "needs": {key: vars(value) for key, value in needs.items()},
            }
            results[name] = self._job(job, context, workflow.env, place=(*place, name))
            console.say(f"{' / '.join((*place, name))}: {results[name].result}")
        return results

    def _job(self, job: WorkflowJob, context: Values, env: Values, *, place: tuple[str, ...]) -> StepResult:
        needed = [need["result"] for need in context["needs"].values()]
        functions = steps.status(failed=FAILURE in needed, fine=all(result == SUCCESS for result in needed))
        if not expressions.condition(job.condition, context, functions):
            return StepResult(result=SKIPPED)
        found = [
            self._row(job, {**context, "matrix": row}, env, place=(*place[:-1], " ".join([place[-1], *_slug(row)])))
            for row in self._matrix(job, context)
        ]
        bad = next((result for result in found if result.result == FAILURE), None)
        return bad or found[-1]

    def _matrix(self, job: WorkflowJob, context: Values) -> list[dict[str, Any]]:
        """Return the matrix rows of a job; one empty row if it has no matrix."""
        if job.strategy is None:
            return [{}]
        rows: list[dict[str, Any]] = expressions.expand(job.strategy.matrix, context)["include"]
        kept = [row for row in rows if all(str(row.get(name, value)) == value for name, value in self.rows.items())]
        if not kept:
            message = f"no row of the matrix has {self.rows}; there are: {json.dumps(rows)}"
            raise RehearsalError(message)
        return kept

    def _row(self, job: WorkflowJob, context: Values, env: Values, *, place: tuple[str, ...]) -> StepResult:
        console.say(f"{' / '.join(place)}:")
        if job.uses:
            called = workflows.load(self.checkout / job.uses)
            given = {name: steps.expanded(value, context) for name, value in job.given.items()}
            results = self._workflow(called, given, (), place=place)
            bad = next((f"{name}: {done.fault}" for name, done in results.items() if done.result == FAILURE), "")
            return StepResult(result=FAILURE if bad else SUCCESS, fault=bad)
        folder = self.folder.joinpath("jobs", *place)
        temp = folder / "temp"
        temp.mkdir(parents=True)
        machine = actions.Machine(
            origin=self.origin, workspace=folder / "workspace", temp=temp, artifacts=self.artifacts
        )
        return steps.run_all(job, machine=machine, context=context, env={**env, **job.env})

    def _payload(self, base: str) -> dict[str, Any]:
        if self.occasion.event != "pull_request":
            return {"repository": {"default_branch": "main"}}
        labels = [{"name": label} for label in self.occasion.labels]
        return {"pull_request": {"number": 1, "base": {"sha": base}, "labels": labels}}


# --- values ----------------------------------------------------------------------------------------------


def _inputs(workflow: Workflow, given: Values, *, event: str, called: bool) -> dict[str, Any]:
    """Return the context `inputs`: all declared ones, with defaults; null if the event has no inputs."""
    kind = event if event in workflow.on and not called else "workflow_call"
    declared = workflow.inputs(kind) if kind in BY_HAND else {}
    unknown = sorted(set(given) - set(declared))
    missing = sorted(name for name, entry in declared.items() if entry.required and name not in given)
    if unknown or missing:
        words = [f"has no input {name}" for name in unknown] + [f"needs the input {name}" for name in missing]
        message = f"the workflow {workflow.name} {' and '.join(words)}"
        raise WorkflowError(message)
    values: dict[str, Any] = {name: None for other in BY_HAND for name in workflow.inputs(other)}
    for name, entry in declared.items():
        value = given.get(name, entry.default)
        values[name] = value in (True, "true") if entry.type == "boolean" else value
    return values


def _slug(row: Values) -> list[str]:
    """Return the first value of a matrix row, as a part of a folder's name."""
    return [re.sub(r"[^\w.-]+", "-", str(value)) for value in list(row.values())[:1]]


def _clone(checkout: Path, origin: Path, *, base: str) -> tuple[str, str]:
    """Clone a checkout and commit its uncommitted changes; returns the commits of ``base`` and of the result."""
    start = _git(checkout, "rev-parse", "--verify", f"{base}^{{commit}}").split()[-1]
    git.run("clone", "--quiet", "--no-checkout", checkout, origin)
    listed = _git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in dict.fromkeys(filter(None, listed.split("\0"))):
        if os.path.lexists(checkout / name):
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, origin / name, follow_symlinks=False)
    _git(origin, "add", "--all")
    _git(origin, *AUTHOR, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", "What is not committed yet")
    return start, _git(origin, "rev-parse", "HEAD").strip()


def _git(checkout: Path, *words: str) -> str:
    return git.run(*words, at=checkout)
