"""The workflows as they stand: what their steps call exists with those words, and the light jobs really run.

The heavy ones run the same way in `.ci/run`: `nox -s rehearse -- ci.yml lint`, then `tests`, and wheel.yml for one
target. Here they would be lint and tests once more inside the tests, and gigabytes.
"""

from __future__ import annotations

import ast
import json
import re
import runpy
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from publications import finish
from tfwheel.config.paths import ROOT
from tfwheel.system.processes import run
from tfwheel.wheel import records
from workflow_runner import workflows
from workflow_runner.runner import Event, Rehearsal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALL = re.compile(r"nox (?:--no-install )?-s (?P<session>\S+)(?: -- (?P<words>.*))?")
VALUES = {
    "VERSION": "v2.20.0+cu125.1",
    "MODE": "--no-dry-run",
    "EVENT": "schedule",
    "MATRIX": '{"include": []}',
    "SESSION": "build-cuda12(tf2.20.0-cp312-cu12)",
    "URL": "https://example.org",
    "SUMS": "0" * 64,
    "ARTIFACT": "7",
    "BUDGET": "5h",
    "MORE": "--no-github-output",
}


def calls() -> Iterator[tuple[str, str, list[str]]]:
    """Each nox session that a step calls: the place, the session, and the words that it is given."""
    for path in sorted(workflows.FOLDER.glob("*.yml")):
        for name, job in workflows.load(path).jobs.items():
            for step in job.steps:
                for line in (step.run or "").splitlines():
                    match = CALL.fullmatch(line)
                    if match:
                        filled = re.sub(
                            r"\$\{(\w+)\}", lambda found: VALUES.get(found[1], "x"), line.replace(" --no-install", "")
                        )
                        words = shlex.split(filled)
                        yield f"{path.name}/{name}: {line}", words[2], words[4:]


CALLS = list(calls())


def doors() -> dict[str, str]:
    """The door that each session enters, as the noxfile has it."""
    found = {}
    for function in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "enter"
                and isinstance(function, ast.FunctionDef)
            ):
                door = node.args[1]
                if isinstance(door, ast.Constant):
                    found[function.name.replace("_", "-").removesuffix("-session")] = str(door.value)
    return found


def test_every_session_that_a_step_calls_is_one_that_nox_lists() -> None:
    lines = run([sys.executable, "-m", "nox", "--list"], cwd=ROOT).splitlines()
    listed = {line[2:].partition(" -> ")[0].partition(" [")[0] for line in lines if line.startswith(("- ", "* "))}
    assert len(CALLS) > 15
    assert {session for _, session, _ in CALLS} <= listed


NO_DOOR = {"tests", "update-locks"}  # they hand their words to pytest and uv
WITH_WORDS = [(place, session, words) for place, session, words in CALLS if words and session not in NO_DOOR]


@pytest.mark.parametrize(("place", "session", "words"), WITH_WORDS, ids=[place for place, _, _ in WITH_WORDS])
def test_the_door_of_a_session_takes_the_words_that_a_step_gives_it(
    place: str,
    session: str,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # `--help` is answered before anything is done; a word before it that is no choice, or no number, is refused.
    name, _, target = session.rstrip(")").partition("(")
    door = ROOT / "scripts" / f"{'build_wheel' if target else doors()[name]}.py"
    words = [*filter(None, [target]), *words]
    options = [word for word in words if word.startswith("--")]
    monkeypatch.setattr(sys, "argv", [str(door), *words, "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(door), run_name="__main__")
    output = capsys.readouterr().out
    assert caught.value.code == 0
    assert all(re.search(rf"{option}\b", output) for option in options), place


@pytest.fixture
def trial(tmp_path: Path) -> Rehearsal:
    """A rehearsal of this checkout, which must be one of git."""
    if not (ROOT / ".git").exists():
        pytest.skip("the jobs work in clones of a git checkout: `git clone` the repository and work in there")
    return Rehearsal(checkout=ROOT, folder=tmp_path / "rehearsal", occasion=Event(labels=("python:3.13",)))


def test_the_plan_of_a_pull_request_runs_from_its_yaml(trial: Rehearsal) -> None:
    plan = trial.rehearse("ci.yml", ["plan"])["plan"]
    matrix = json.loads(plan.outputs["matrix"])
    assert plan.outputs["any"] == json.dumps(bool(matrix["include"]))
    assert all(row["gpu_runner"] == "" for row in matrix["include"])


def test_the_gate_of_a_pull_request_is_green_when_all_jobs_are(trial: Rehearsal) -> None:
    assert trial.rehearse("ci.yml", ["gate"])["gate"].result == "success"


def test_the_summary_of_the_wheels_runs_from_its_yaml(tmp_path: Path, trial: Rehearsal) -> None:
    trial = Rehearsal(checkout=trial.checkout, folder=trial.folder, occasion=Event(event="schedule"))
    wheel = finish(tmp_path / "tf2.20.0-cp312-cu12", 1)
    folder = trial.artifacts / "record-tf2.20.0-cp312-cu12" / "tf2.20.0-cp312-cu12"
    folder.mkdir(parents=True)
    records.path_for(wheel).rename(folder / records.path_for(wheel).name)
    trial.rehearse("wheels.yml", ["plan", "summary"])
    told = "".join(path.read_text() for path in trial.folder.glob("jobs/summary/temp/step-*/summary.md"))
    assert "| passed | `tf2.20.0-cp312-cu12`" in told
    assert "| missing | `tf2.21.0-cp313-cu12`" in told
