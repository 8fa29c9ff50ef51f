"""Every workflow keeps the house rules: short, pinned, bounded, with no right too many, wired to what exists.

What actionlint and zizmor hold already (`nox -s lint`) is tested here only where a rule of ours is stricter.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tfwheel.config import build_config, ci_jobs, ci_settings
from workflow_runner import expressions, workflows
from workflow_runner.errors import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflow_runner.workflows import Step, Workflow, WorkflowJob

FILES = {path.name: path for path in sorted(workflows.FOLDER.glob("*.yml"))}
WORKFLOWS = {name: workflows.load(path) for name, path in FILES.items()}
LINES, RUN_LINES = 120, 3
USES = re.compile(r"uses: (?P<action>[\w./-]+)@(?P<sha>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")
BOOTSTRAP = "pip install --require-hashes --only-binary :all: -r build_config/locks/bootstrap.txt"
CALL = re.compile(r"\./\.github/workflows/(?P<name>[\w-]+\.yml)")
# Who may write what; all else is read or nothing.
WRITERS = {
    "watch.yml/watch": {"issues"},
    "pages.yml/deploy": {"attestations", "id-token", "pages"},
    "release.yml/pages": {"actions"},
    "release.yml/publish": {"attestations", "contents", "id-token", "pull-requests"},
    "update-pins.yml/propose": {"contents", "pull-requests"},
}
PROTECTED = {"pages.yml/deploy": "github-pages", "release.yml/publish": "release"}
JOBS = [(file, name, job) for file, workflow in WORKFLOWS.items() for name, job in workflow.jobs.items()]
STEPS = [(file, name, step) for file, name, job in JOBS for step in job.steps]

each_file = pytest.mark.parametrize("file", FILES)
each_job = pytest.mark.parametrize(("file", "name", "job"), JOBS, ids=[f"{file}/{name}" for file, name, _ in JOBS])


def texts(part: Workflow | WorkflowJob | Step) -> list[str]:
    """All values of a part of a workflow that are texts, wherever they stand."""
    waiting: list[object] = [part.model_dump()]
    found = []
    while waiting:
        match waiting.pop():
            case str() as text:
                found.append(text)
            case dict() as values:
                waiting += values.values()
            case list() as values:
                waiting += values
    return found


def spoken_of(part: Workflow | WorkflowJob | Step) -> Iterator[tuple[str, ...]]:
    """The context values that a part of a workflow speaks of, conditions without braces included."""
    for text in texts(part):
        yield from expressions.names(text)
    conditions = [part.condition] if not hasattr(part, "on") else []
    conditions += [step.condition for step in getattr(part, "steps", [])]
    for condition in conditions:
        if isinstance(condition, str) and "${{" not in condition:
            yield from expressions.names(f"${{{{ {condition} }}}}")


@each_file
def test_a_workflow_is_short_and_begins_without_rights(file: str) -> None:
    assert len(FILES[file].read_text(encoding="utf-8").splitlines()) <= LINES
    assert WORKFLOWS[file].permissions == {}


@each_file
def test_no_event_runs_what_strangers_wrote_with_rights(file: str) -> None:
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(WORKFLOWS[file].on)


@each_file
def test_only_runs_of_pull_requests_are_cancelled_by_newer_ones(file: str) -> None:
    concurrency = WORKFLOWS[file].concurrency
    if set(WORKFLOWS[file].on) == {"workflow_call"}:
        assert concurrency is None  # the caller's counts
    else:
        assert concurrency is not None
        assert concurrency.cancel in (False, "${{ github.event_name == 'pull_request' }}")
    assert file == "ci.yml" or concurrency is None or concurrency.cancel is False


def test_two_runs_that_publish_the_same_thing_wait_for_each_other() -> None:
    for file in ("pages.yml", "release.yml", "update-pins.yml"):
        concurrency = WORKFLOWS[file].concurrency
        assert concurrency is not None
        assert "${{" not in concurrency.group


@each_file
def test_every_action_is_pinned_to_a_commit_with_its_version(file: str) -> None:
    for line in FILES[file].read_text(encoding="utf-8").splitlines():
        if "uses:" in line:
            assert USES.search(line) or CALL.search(line), line


def test_an_action_has_one_version_everywhere() -> None:
    pins: dict[str, set[tuple[str, str]]] = {}
    for path in FILES.values():
        for match in USES.finditer(path.read_text(encoding="utf-8")):
            pins.setdefault(match["action"], set()).add((match["sha"], match["version"]))
    assert len(pins) > 5
    assert {action: found for action, found in pins.items() if len(found) > 1} == {}


@each_job
def test_a_job_has_a_timeout_and_just_the_rights_it_needs(file: str, name: str, job: WorkflowJob) -> None:
    assert bool(job.steps) != bool(job.uses)
    assert bool(job.timeout) == bool(job.steps)  # a call has those of the workflow that it calls
    assert job.permissions is not None
    written = {right for right, level in job.permissions.items() if level == "write"}
    assert written == WRITERS.get(f"{file}/{name}", set())
    assert (job.environment.name if job.environment else None) == PROTECTED.get(f"{file}/{name}")


def test_a_caller_gives_every_right_that_the_called_jobs_ask_for() -> None:
    for _, _, job in JOBS:
        if job.uses:
            for called in WORKFLOWS[called_by(job)].jobs.values():
                assert (called.permissions or {}).items() <= (job.permissions or {}).items()


@pytest.mark.parametrize(("file", "name", "step"), STEPS, ids=[f"{file}/{name}" for file, name, _ in STEPS])
def test_a_step_is_short_and_takes_no_text_from_outside_into_its_program(file: str, name: str, step: Step) -> None:
    assert (step.run is None) != (step.uses is None), f"{file}/{name}"
    program = step.run or ""
    assert len(program.splitlines()) <= RUN_LINES
    assert "${{" not in program
    assert program == BOOTSTRAP or re.match(r"nox (--no-install )?-s |$", program), (
        "a step calls a session or an action"
    )
    for variable in re.findall(r"\$\{?(\w+)", program):
        assert variable in {**WORKFLOWS[file].env, **WORKFLOWS[file].jobs[name].env, **step.env}


def test_what_is_promoted_is_written_by_a_job_that_runs_nothing_of_it() -> None:
    jobs = WORKFLOWS["wheel.yml"].jobs
    writers = {name: {step.given["name"] for step in uploads(job)} for name, job in jobs.items()}
    wheel, record = (f"{kind}-${{{{ inputs.id }}}}" for kind in ("wheel", "record"))
    assert writers["build"] == {wheel, record}
    assert not {wheel, record} & {name for job in set(jobs) - {"build"} for name in writers[job]}
    assert [step.run for step in jobs["build"].steps if "nox" in (step.run or "")] == [
        'nox -s "${SESSION}" -- --no-smoke'
    ]
    for name in set(jobs) - {"build"}:
        assert jobs[name].needs == ["build"]
        assert all("record.json" in str(step.given["path"]) for step in uploads(jobs[name]))


def test_what_is_signed_was_staged_and_checked_by_another_job() -> None:
    check, publish = (WORKFLOWS["release.yml"].jobs[name] for name in ("check", "publish"))
    steps = [step.run or (step.uses or "").partition("@")[0] for step in check.steps]
    staged = next(number for number, step in enumerate(steps) if "--only stage" in step)
    assert steps[staged + 1 :] == ["actions/upload-artifact", 'nox -s release -- "${VERSION}" "${MODE}" --only gates']
    steps = [step.run or (step.uses or "").partition("@")[0] for step in publish.steps]
    confirmed = next(number for number, step in enumerate(steps) if "--only confirm" in step)
    assert steps[confirmed + 1 :] == [
        "actions/attest-build-provenance",
        'nox -s release -- "${VERSION}" --only publish',
    ]
    assert publish.needs == ["check"]
    assert not any("run-id" in step.given for step in publish.steps)


def test_pages_are_deployed_from_main_alone_and_never_with_the_commit_as_their_version() -> None:
    pages = WORKFLOWS["pages.yml"]
    assert "workflow_call" not in pages.on
    assert pages.jobs["deploy"].condition == "github.ref_name == github.event.repository.default_branch"
    assert not any("actions/deploy-pages@" in (step.uses or "") for _, _, step in STEPS)
    assert not any("pages.yml" in (job.uses or "") for _, _, job in JOBS)


def uploads(job: WorkflowJob) -> list[Step]:
    return [step for step in job.steps if (step.uses or "").startswith("actions/upload-artifact@")]


def test_no_checkout_keeps_the_token() -> None:
    checkouts = [step for _, _, step in STEPS if (step.uses or "").startswith("actions/checkout@")]
    assert len(checkouts) > 5
    assert all(step.given["persist-credentials"] is False for step in checkouts)


def test_no_secret_is_used_but_the_token_of_the_run() -> None:
    for workflow in WORKFLOWS.values():
        assert not {path for path in spoken_of(workflow) if path[0] == "secrets"}


def test_nothing_is_cached() -> None:
    assert not [step for _, _, step in STEPS if "cache" in f"{step.uses}{step.given}"]


def test_the_gate_waits_for_every_job_whatever_became_of_it() -> None:
    jobs = WORKFLOWS["ci.yml"].jobs
    gate = jobs["gate"]
    assert sorted(gate.needs) == sorted(set(jobs) - {"gate"})
    assert gate.condition == "always()"
    assert gate.steps[0].given["jobs"] == "${{ toJSON(needs) }}"


@pytest.mark.parametrize(("any_", "result", "passes"), [("true", "skipped", ""), ("false", "skipped", "wheels")])
def test_the_gate_lets_the_wheels_be_skipped_only_where_the_plan_has_none(any_: str, result: str, passes: str) -> None:
    needs = {"plan": {"result": "success", "outputs": {"any": any_}}, "wheels": {"result": result, "outputs": {}}}
    allowed = WORKFLOWS["ci.yml"].jobs["gate"].steps[0].given["allowed-skips"]
    assert expressions.expand(str(allowed), {"needs": needs}) == passes


@pytest.mark.parametrize("event", ["pull_request", "push", "schedule", "workflow_dispatch"])
@pytest.mark.parametrize("gpu_runner", ["", "linux-gpu-t4", ["self-hosted", "gpu"]])
def test_the_gpu_job_runs_where_there_is_a_gpu_and_never_for_a_pull_request(
    event: str, gpu_runner: str | list[str]
) -> None:
    given = WORKFLOWS["wheels.yml"].jobs["wheels"].given["gpu_runner"]
    passed = expressions.expand(str(given), {"matrix": {"gpu_runner": gpu_runner}})
    job = WORKFLOWS["wheel.yml"].jobs["gpu"]
    context = {"inputs": {"gpu_runner": passed}, "github": {"event_name": event}}
    runs = expressions.condition(job.condition, context, {"success": lambda: True})
    assert runs == (bool(gpu_runner) and event != "pull_request")
    if runs:
        assert expressions.expand(str(job.runs_on), context) == gpu_runner


@pytest.mark.parametrize("event", ["pull_request", "push", "schedule", "workflow_dispatch"])
def test_companions_are_tried_every_night_and_their_report_is_kept_whatever_it_says(event: str) -> None:
    steps = WORKFLOWS["wheel.yml"].jobs["smoke"].steps
    number, step = next((number, step) for number, step in enumerate(steps) if "companions" in (step.run or ""))
    context = {"github": {"event_name": event}}
    assert expressions.condition(step.condition, context, {"success": lambda: True}) == (event == "schedule")
    later = steps[number + 1 :]
    assert [(one.uses or "").partition("@")[0] for one in later] == ["actions/upload-artifact"]
    assert later[0].condition == "always()"


def test_a_pull_request_hands_on_no_gpu_whatever_its_plan_says() -> None:
    assert "gpu_runner" not in WORKFLOWS["ci.yml"].jobs["wheels"].given


# --- what is spoken of exists ----------------------------------------------------------------------------


def outputs_of(job: WorkflowJob) -> set[str]:
    """The outputs of a job, or of the workflow that it calls."""
    called = WORKFLOWS[Path(job.uses).name].on["workflow_call"] if job.uses else {}
    return {*job.outputs, *called.get("outputs", {})}


@each_job
def test_a_job_speaks_only_of_jobs_inputs_and_steps_that_are_there(file: str, name: str, job: WorkflowJob) -> None:
    workflow = WORKFLOWS[file]
    inputs = {key for event in ("workflow_call", "workflow_dispatch") for key in workflow.inputs(event)}
    steps = {step.id for step in job.steps if step.id}
    for path in spoken_of(job):
        match path:
            case ("needs", other, "outputs", output):
                assert other in job.needs
                assert output in outputs_of(workflow.jobs[other])
            case ("needs", *_) | ("github", *_):
                pass
            case ("inputs", key):
                assert key in inputs
            case ("steps", step, "outputs" | "outcome", *_):
                assert step in steps
            case ("matrix", key):
                assert key in row()
            case _:
                pytest.fail(f"{file}/{name} speaks of {'.'.join(path)}")


def row() -> dict[str, object]:
    """What a row of the plan's matrix has."""
    jobs = ci_jobs.matrix(build_config.load(), ci_settings.load(), event="schedule")
    first: dict[str, object] = jobs["include"][0]
    return first


@each_job
def test_a_step_uses_the_outputs_of_earlier_steps_only(file: str, name: str, job: WorkflowJob) -> None:
    seen: set[str] = set()
    for step in job.steps:
        used = {path[1] for path in spoken_of(step) if path[0] == "steps"}
        assert used <= seen, f"{file}/{name}"
        seen |= {step.id} if step.id else set()


def called_by(job: WorkflowJob) -> str:
    """The file of the workflow that a job calls."""
    match = CALL.fullmatch(job.uses or "")
    assert match
    return match["name"]


@each_job
def test_a_call_gives_what_is_asked_for_and_nothing_else(file: str, name: str, job: WorkflowJob) -> None:
    if job.uses:
        asked = WORKFLOWS[called_by(job)].inputs("workflow_call")
        required = {key for key, entry in asked.items() if entry.required}
        assert required <= set(job.given) <= set(asked), f"{file}/{name}"


def test_every_artifact_that_is_taken_is_one_that_is_made() -> None:
    made = {name(step, "name") for _, _, step in STEPS if (step.uses or "").startswith("actions/upload-artifact@")}
    taken = [step for _, _, step in STEPS if (step.uses or "").startswith("actions/download-artifact@")]
    assert made == {"wheel-*", "record-*", "smoke-*", "gpu-*", "release", "pins", "imitations"}
    assert {name(step, "name") for step in taken if "name" in step.given} <= made
    assert {name(step, "pattern") for step in taken if "pattern" in step.given} == {"{record,smoke,gpu}-*"}


def name(step: Step, key: str) -> str:
    """The name of an artifact, with a star for what is only known later."""
    return re.sub(r"\$\{\{.*?\}\}", "*", str(step.given[key]))


# --- bad input -------------------------------------------------------------------------------------------

GOOD = "name: X\non:\n  push:\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: 'true'\n"


def test_a_workflow_as_we_write_them_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(GOOD)
    assert workflows.load(tmp_path / "x.yml").jobs["a"].steps[0].run == "true"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD.replace("runs-on", "run-on"), r"jobs\.a\.run-on"),
        (GOOD.replace("- run", "- continue-on-error: true\n        run"), r"steps\.0\.continue-on-error"),
        (GOOD.replace("permissions: {}", "permissions: write-all"), "permissions"),
        (GOOD.replace("steps:", "steps: ["), "is not YAML"),
        ("", "is not valid or not supported here"),
    ],
)
def test_a_workflow_that_is_not_as_we_write_them_is_refused_by_its_key(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "x.yml").write_text(text)
    with pytest.raises(WorkflowError, match=reason):
        workflows.load(tmp_path / "x.yml")


def test_a_workflow_that_is_not_there_gets_the_names_of_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "ci.yml").write_text(GOOD)
    with pytest.raises(WorkflowError, match=r"there is no workflow .*/cy\.yml; known: ci\.yml"):
        workflows.load(tmp_path / "cy.yml")
