"""Workflows of a small checkout are run as GitHub would run them: real git, real bash, real Python environments."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

from tfwheel.system.processes import run
from workflow_runner.errors import RehearsalError, WorkflowError
from workflow_runner.runner import Event, Rehearsal, pairs

HEAD = "name: X\non:\n  pull_request:\n  push:\n  workflow_dispatch:\n    inputs: {}\npermissions: {}\njobs:\n"
DOOR = Path(__file__).parents[3] / "scripts" / "rehearse_workflow.py"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
CHECKOUT = "- uses: actions/checkout@x\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    root = tmp_path / "checkout"
    (root / ".github" / "workflows").mkdir(parents=True)
    (root / "kept.txt").write_text("committed")
    (root / "gone.txt").write_text("committed")
    (root / ".gitignore").write_text("dist/\n")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "1"]):
        run(["git", "-C", root, *words])
    return root


def job(name: str, steps: str, head: str = "") -> str:
    """One job of a workflow, from its steps and its other keys."""
    keys = dedent(head) + "runs-on: x\nsteps:\n" + indent(dedent(steps), "  ")
    return f"  {name}:\n{indent(keys, '    ')}"


def rehearsal(checkout: Path, *jobs: str, occasion: Event | None = None, name: str = "x.yml", **more: str) -> Rehearsal:
    """A rehearsal of these jobs."""
    (checkout / ".github" / "workflows" / name).write_text(HEAD + "\n".join(jobs))
    return Rehearsal(checkout=checkout, folder=checkout / "dist" / "w", occasion=occasion or Event(), rows=more)


def said(trial: Rehearsal, job: str, file: str = "said") -> str:
    """What a step of a job wrote into a file of its workspace."""
    return (trial.workspace(job) / file).read_text().strip()


def test_a_job_works_in_a_clean_clone_with_what_is_not_committed(checkout: Path) -> None:
    (checkout / "kept.txt").write_text("changed")
    (checkout / "new.txt").write_text("new")
    (checkout / "gone.txt").unlink()
    (checkout / "dist").mkdir()
    (checkout / "dist" / "ignored").touch()
    trial = rehearsal(
        checkout, job("a", f"{CHECKOUT}- run: ls > said; git status --short > status; git log --oneline > log")
    )
    trial.rehearse("x.yml")
    assert said(trial, "a").split() == ["kept.txt", "new.txt", "said"]
    assert said(trial, "a", "kept.txt") == "changed"
    assert said(trial, "a", "status").split() == ["??", "said", "??", "status"]
    assert len(said(trial, "a", "log").splitlines()) == 1  # as shallow as there


def test_the_whole_history_is_there_only_where_it_was_asked_for(checkout: Path) -> None:
    steps = """\
        - uses: actions/checkout@x
          with:
            fetch-depth: 0
        - run: git diff --name-only "${BASE}" > said
          env:
            BASE: ${{ github.event.pull_request.base.sha }}
        """
    trial = rehearsal(checkout, job("a", steps))
    trial.rehearse("x.yml")
    assert said(trial, "a") == ".github/workflows/x.yml"
    with pytest.raises(RehearsalError, match="step `git diff"):
        rehearsal(checkout, job("a", steps.replace("fetch-depth: 0", "fetch-depth: 1"))).rehearse("x.yml")


def test_outputs_go_from_step_to_job_to_matrix_to_the_called_workflow(checkout: Path) -> None:
    inputs = "inputs:\n      id: {type: string, required: true}"
    called = HEAD.replace("workflow_dispatch", "workflow_call").replace("inputs: {}", inputs)
    (checkout / ".github" / "workflows" / "y.yml").write_text(
        called + job("b", f'{CHECKOUT}- run: echo "${{ID}}" > said\n  env:\n    ID: ${{{{ inputs.id }}}}')
    )
    plan = job(
        "plan",
        """\
        - id: it
          run: |
            echo 'rows={"include": [{"id": "one", "n": 1}, {"id": "two", "n": 2}]}' >> "${GITHUB_OUTPUT}"
        """,
        "outputs:\n  rows: ${{ steps.it.outputs.rows }}\n",
    )
    each = indent(
        dedent("""\
            each:
              needs: plan
              strategy:
                matrix: ${{ fromJSON(needs.plan.outputs.rows) }}
              uses: ./.github/workflows/y.yml
              with:
                id: ${{ matrix.id }}-${{ matrix.n }}
            """),
        "  ",
    )
    trial = rehearsal(checkout, plan, each)
    assert {name: done.result for name, done in trial.rehearse("x.yml").items()} == {
        "plan": "success",
        "each": "success",
    }
    assert said(trial, "each one/b") == "one-1"
    assert said(trial, "each two/b") == "two-2"
    only = rehearsal(checkout, plan, each, id="two")
    only.rehearse("x.yml")
    assert not only.workspace("each one/b").exists()
    with pytest.raises(RehearsalError, match="no row of the matrix has"):
        rehearsal(checkout, plan, each, id="three").rehearse("x.yml")


def test_after_a_failure_only_what_asks_for_it_runs_and_all_that_failed_is_named(checkout: Path) -> None:
    bad = job(
        "bad",
        f"""\
        {CHECKOUT}
        - id: first
          run: exit 7
        - run: touch after
        - if: failure() && steps.first.outcome == 'failure' && hashFiles('kept.txt') != ''
          run: touch told
        - if: failure() && hashFiles('nothing') != ''
          run: touch wrong
        """,
    )
    needing = job("needing", "- run: 'true'", "needs: bad\n")
    always = job("always", f"{CHECKOUT}- run: touch ran", "needs: [bad, needing]\nif: always()\n")
    trial = rehearsal(checkout, bad, needing, always)
    with pytest.raises(RehearsalError, match=r"x\.yml, job bad: step `exit 7`: exit code 7"):
        trial.rehearse("x.yml")
    here = trial.workspace("bad")
    assert (here / "told").exists()
    assert not (here / "after").exists()
    assert not (here / "wrong").exists()
    assert not trial.workspace("needing").exists()
    assert (trial.workspace("always") / "ran").exists()


def test_a_step_sees_a_machine_of_ci_and_nothing_of_the_environment_it_was_started_in(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VIRTUAL_ENV", "GITHUB_TOKEN", "COVERAGE_PROCESS_CONFIG", "PYTHONPATH"):
        monkeypatch.setenv(name, "leaked")
    trial = rehearsal(checkout, job("a", f"{CHECKOUT}- run: env > said", "env:\n  OURS: ${{ github.event_name }}\n"))
    trial.rehearse("x.yml")
    seen = dict(line.split("=", 1) for line in said(trial, "a").splitlines() if "=" in line)
    assert "leaked" not in seen.values()
    expected = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "OURS": "pull_request"}
    assert expected.items() <= seen.items()
    assert seen["GITHUB_WORKSPACE"] == str(trial.workspace("a"))


def test_pip_and_python_are_those_of_the_last_version_that_was_set_up(checkout: Path) -> None:
    steps = f"""\
        {CHECKOUT}
        - uses: actions/setup-python@x
          with:
            python-version: "{PYTHON}"
        - run: python -c 'import sys; print(sys.prefix, "%d.%d" % sys.version_info[:2])' > said; pip --version >> said
        """
    trial = rehearsal(checkout, job("a", steps))
    trial.rehearse("x.yml")
    python, pip = said(trial, "a").splitlines()
    assert python == f"{trial.folder}/jobs/a/temp/python-{PYTHON} {PYTHON}"
    assert f"{trial.folder}/jobs/a/temp" in pip
    with pytest.raises(RehearsalError, match=r"there is no Python 3\.2 "):
        rehearsal(checkout, job("a", steps.replace(f'"{PYTHON}"', '"3.2"'))).rehearse("x.yml")


def test_jobs_that_are_not_named_count_as_green(checkout: Path) -> None:
    first, second = job("first", "- run: exit 1"), job("second", f"{CHECKOUT}- run: touch ran", "needs: first\n")
    trial = rehearsal(checkout, first, second)
    results = trial.rehearse("x.yml", ["second"])
    assert {name: done.result for name, done in results.items()} == {"first": "success", "second": "success"}
    assert (trial.workspace("second") / "ran").exists()


@pytest.mark.parametrize(
    ("jobs", "chosen", "occasion", "reason"),
    [
        ([job("a", "- run: 'true'")], ["b"], Event(), "has no job b; it has a"),
        ([job("a", "- run: 'true'", "needs: b\n")], [], Event(), "has no job b"),
        ([job("a", "- uses: actions/deploy-pages@x")], [], Event(), "has no equivalent on this machine"),
        ([job("a", "- run: 'true'\n  env: {A: '${{ inputs.b }}'}")], [], Event(), "there is no `b` here"),
        ([job("a", "- run: 'true'")], [], Event(event="release"), "does not run on release, only on pull_request"),
        ([job("a", "- run: 'true'")], [], Event(event="workflow_dispatch", inputs={"c": "1"}), "has no input c"),
        ([job("a", '- run: echo bad >> "${GITHUB_OUTPUT}"')], [], Event(), "is not NAME=VALUE: bad"),
    ],
)  # fmt: skip
def test_what_cannot_be_rehearsed_is_refused_with_its_name(
    checkout: Path, jobs: list[str], chosen: list[str], occasion: Event, reason: str
) -> None:
    with pytest.raises((WorkflowError, RehearsalError), match=reason):
        rehearsal(checkout, *jobs, occasion=occasion).rehearse("x.yml", chosen)


def test_inputs_have_their_defaults_and_types(checkout: Path) -> None:
    inputs = "inputs:\n      dry: {type: boolean, default: true}\n      name: {type: string, required: true}"
    steps = f"""\
        {CHECKOUT}
        - run: echo "${{DRY}} ${{NAME}}" > said
          env:
            DRY: ${{{{ inputs.dry && 'dry' || 'wet' }}}}
            NAME: ${{{{ inputs.name }}}}
        """
    text = HEAD.replace("inputs: {}", inputs) + job("a", steps)
    (checkout / ".github" / "workflows" / "x.yml").write_text(text)

    def words(event: str, **given: str) -> str:
        occasion = Event(event=event, inputs=given)
        trial = Rehearsal(checkout=checkout, folder=checkout / "dist" / "w", occasion=occasion)
        trial.rehearse("x.yml")
        return said(trial, "a")

    assert words("workflow_dispatch", name="x") == "dry x"
    assert words("workflow_dispatch", name="x", dry="false") == "wet x"
    assert words("push") == "wet"  # there are no inputs then, defaults included
    with pytest.raises(WorkflowError, match="needs the input name"):
        words("workflow_dispatch")


def test_the_words_of_the_door_are_pairs() -> None:
    assert pairs(["id=tf2.20.0-cp312-cu12", "a=b=c", "e="]) == {"id": "tf2.20.0-cp312-cu12", "a": "b=c", "e": ""}
    with pytest.raises(WorkflowError, match="`id` is not NAME=VALUE"):
        pairs(["id"])
