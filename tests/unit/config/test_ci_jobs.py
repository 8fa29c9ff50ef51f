"""The jobs of CI: golden matrices of a fixed configuration, the rule about forks, and every bad word named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedconfig import CI, CONFIG
from tfwheel.config import build_config, ci_jobs, ci_settings, plan
from tfwheel.config.ci_settings import CiSettings, Runner, Subset
from tfwheel.config.errors import (
    ConfigError,
    MatrixTooLargeError,
    SelectionError,
    UnknownTriggerError,
)
from tfwheel.config.paths import ROOT
from tfwheel.errors import UsageError

NO_OPTIONS: dict[str, Any] = dict.fromkeys((*ci_jobs.OF_JOBS, *ci_jobs.OF_TARGETS, "event"))

GOLDEN = Path(__file__).parents[2] / "data" / "matrix"
EVENTS = ("pull_request", "push", "schedule", "workflow_dispatch", "release")
CASES: dict[str, tuple[str, list[str]]] = {
    "pull_request": ("pull_request", []),
    "pull_request+all": ("pull_request", ["all"]),
    "pull_request+python_3.13": ("pull_request", ["python:3.13", "documentation"]),
    "push": ("push", []),
    "schedule": ("schedule", []),
    "workflow_dispatch": ("workflow_dispatch", []),
    "workflow_dispatch+line_cpu": ("workflow_dispatch", ["line:cpu, target:tf2.18.1-cp311-cu12"]),
    "release": ("release", ["version:2.20.0+cu125.2"]),
}
CPU = CI.runners[0]
GPU = Runner(
    name="T4", runs_on=["gpu-t4"], gpu=True, hosted=True, timeout=120, cost="metered", source="https://example.org"
)
OWN = Runner(
    name="ours", runs_on=["self-hosted", "gpu"], gpu=True, hosted=False, timeout=30, cost="own", source=GPU.source
)


def rows(ci: CiSettings = CI, *, event: str = "pull_request", **options: list[str]) -> list[dict[str, Any]]:
    return ci_jobs.matrix(CONFIG, ci, event=event, **options)["include"]


def ids(*labels: str, event: str = "pull_request") -> set[str]:
    return {row["id"] for row in rows(event=event, labels=labels)}


# --- golden ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_each_event_starts_the_jobs_it_did(name: str, pytestconfig: pytest.Config) -> None:
    event, labels = CASES[name]
    path = GOLDEN / f"{name}.json"
    found = json.dumps(ci_jobs.matrix(CONFIG, CI, event=event, labels=labels), indent=2) + "\n"
    if pytestconfig.getoption("--update-golden"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8"), (
        "if that was meant: `nox -s tests -- tests/unit/config --update-golden`, and look at the diff"
    )


def test_every_golden_matrix_is_compared() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)
    assert {event for event, _ in CASES.values()} == set(EVENTS) == set(CI.subsets)


@pytest.mark.parametrize("event", ["pull_request", "push", "schedule", "workflow_dispatch"])
def test_each_event_of_this_repository_starts_jobs(event: str) -> None:
    assert ci_jobs.matrix(build_config.load(), ci_settings.load(), event=event)["include"]


# --- what is selected ------------------------------------------------------------------------------------


def test_a_row_says_what_a_job_needs() -> None:
    (row,) = rows(event="release", labels=["target:tf2.20.0-cp312-cu12"])
    assert row == {
        "id": "tf2.20.0-cp312-cu12",
        "session": "build-cuda12(tf2.20.0-cp312-cu12)",
        "python": "3.12",
        "runner": "ubuntu-24.04",
        "gpu_runner": "",
        "timeout": 90,
    }


def test_corners_are_the_oldest_and_the_newest_of_each_line() -> None:
    slim = {"tf2.20.0-cp312-cu12t4", "tf2.20.0-cp313-cu12t4"}
    assert ids() == slim | {"tf2.18.1-cp311-cu12", "tf2.21.0-cp313-cu12", "tf2.20.0-cp311-cpu", "tf2.20.0-cp313-cpu"}


def test_nightly_is_a_superset_of_every_event() -> None:
    everything = ids(event="schedule")
    assert everything == {target.id for target in plan.targets(CONFIG)}
    assert ids() | ids(event="push") | ids("line:cpu", event="release") <= everything


def test_a_label_adds_to_a_pull_request_and_replaces_what_is_started_by_hand() -> None:
    named = {"tf2.20.0-cp311-cpu", "tf2.20.0-cp312-cpu", "tf2.20.0-cp313-cpu"}
    assert ids("line:cpu") == ids() | named
    assert ids("line:cpu", event="workflow_dispatch") == named
    assert ids("line:cpu,tensorflow:2.18.1", "", event="workflow_dispatch") == named | {"tf2.18.1-cp311-cu12"}


def test_a_release_is_every_python_of_one_version() -> None:
    pythons = {"tf2.20.0-cp311-cu12", "tf2.20.0-cp312-cu12", "tf2.20.0-cp313-cu12"}
    assert ids("version:2.20.0+cu125.2", event="release") == pythons


def test_labels_of_other_things_are_left_alone() -> None:
    assert ids("bug", "good first issue", "area:docs", "default", "corners") == ids()


@pytest.mark.parametrize(
    "changed",
    [
        [],
        ["README.md", "tests/unit/test_plan.py", "my/build_config/targets.toml"],
        ["scripts/tfwheel/index/landing_page.py", "index/page/page.css", "scripts/benchmarks/stopwatch.py"],
    ],
)
def test_nothing_is_built_where_no_build_input_changed(changed: list[str]) -> None:
    assert rows(changed=changed, labels=["all"]) == []


@pytest.mark.parametrize(
    "changed", ["build_config/ops/src/rms_norm.cc", "pyproject.toml", "scripts/tfwheel/checks/wheel_gates.py"]
)
def test_a_changed_build_input_starts_the_jobs(changed: str) -> None:
    assert rows(changed=["README.md", changed]) == rows()


def test_every_build_input_of_this_repository_is_there() -> None:
    for name in CI.build_inputs:
        path = ROOT / name
        assert path.is_dir() if name.endswith("/") else path.is_file()


# --- runners ---------------------------------------------------------------------------------------------


def test_a_gpu_runner_repeats_the_smoke_test_of_lines_with_gpu_code() -> None:
    found = {row["id"]: row for row in rows(replace(CI, runners=(GPU, CPU)), event="push")}
    on_gpu, on_cpu = found["tf2.20.0-cp312-cu12"], found["tf2.20.0-cp312-cpu"]
    assert (on_gpu["runner"], on_gpu["gpu_runner"], on_gpu["timeout"]) == ("ubuntu-24.04", "gpu-t4", 120)
    assert (on_cpu["runner"], on_cpu["gpu_runner"], on_cpu["timeout"]) == ("ubuntu-24.04", "", 90)


def test_several_labels_stay_a_list() -> None:
    found = rows(replace(CI, runners=(CPU, OWN)), event="push", labels=[])
    assert {json.dumps(row["gpu_runner"]) for row in found} == {'["self-hosted", "gpu"]', '""'}


@pytest.mark.parametrize("runners", [(GPU, CPU), (OWN, CPU), (CPU, GPU, OWN)])
@pytest.mark.parametrize("labels", [[], ["all"]])
def test_a_pull_request_never_reaches_a_gpu(runners: tuple[Runner, ...], labels: list[str]) -> None:
    found = rows(replace(CI, runners=runners), labels=labels)
    assert {(row["runner"], row["gpu_runner"]) for row in found} == {("ubuntu-24.04", "")}


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=5))
def test_whatever_runners_there_are_a_pull_request_reaches_hosted_ones_without_a_gpu(
    kinds: list[tuple[bool, bool]],
) -> None:
    runners = [
        CPU.model_copy(update={"name": str(number), "runs_on": [str(number)], "gpu": gpu, "hosted": hosted})
        for number, (gpu, hosted) in enumerate(kinds)
    ]
    allowed = [runner.name for runner in runners if runner.hosted and not runner.gpu]
    ci = replace(CI, runners=tuple(runners))
    if allowed:
        assert {(row["runner"], row["gpu_runner"]) for row in rows(ci)} == {(allowed[0], "")}
    else:
        with pytest.raises(ConfigError):
            rows(ci)


def test_a_pull_request_is_not_built_on_a_machine_of_ones_own() -> None:
    ours = OWN.model_copy(update={"gpu": False})
    ci = replace(CI, runners=(ours,))
    with pytest.raises(ConfigError, match=r"runners\.toml: the event `pull_request` needs a runner that is hosted"):
        rows(ci)
    assert rows(ci, event="push")[0]["runner"] == ["self-hosted", "gpu"]


def test_without_a_runner_that_builds_nothing_is_planned() -> None:
    with pytest.raises(ConfigError, match="the event `push` needs a runner with `gpu = false`"):
        rows(replace(CI, runners=(GPU,)), event="push")


# --- bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("pul_request", "did you mean `pull_request`"),
        ("pull_request_target", "did you mean `pull_request`"),
        ("", "known: "),
    ],
)
def test_an_unknown_event_gets_the_nearest(event: str, words: str) -> None:
    with pytest.raises(UnknownTriggerError, match=words):
        rows(event=event)


@pytest.mark.parametrize(
    ("event", "label", "words"),
    [
        ("pull_request", "python:3.9", "no target of python `3.9`"),
        ("pull_request", "pyton:3.13", "`pyton:3.13` selects nothing; did you mean `python`"),
        ("pull_request", "line:cpuu", "did you mean `cpu`"),
        ("pull_request", "tensorflow:2.18", "did you mean `2.18.1`"),
        ("pull_request", "target:", "no target of target ``"),
        ("workflow_dispatch", "al", "did you mean `all`"),
        ("workflow_dispatch", "tf2.20.0-cp312-cu12", "did you mean `target:tf2.20.0-cp312-cu12`"),
        ("workflow_dispatch", "area:docs", "`area:docs` selects nothing"),
        ("release", "version:2.20.0+cu125.3", "did you mean `2.20.0\\+cu125.2`"),
        ("push", "all", "the event `push` takes no labels, and got all"),
        ("schedule", "bug", "takes no labels"),
    ],
)
def test_a_label_that_means_nothing_is_named(event: str, label: str, words: str) -> None:
    with pytest.raises(UnknownTriggerError, match=words) as caught:
        rows(event=event, labels=[label])
    assert caught.value.remedy.startswith("Leave the labels out" if "takes no labels" in words else "Correct the label")


@pytest.mark.parametrize(
    ("options", "words", "remedy"),
    [
        ({"label": ["all"]}, "--label cannot be used without --event", "Add `--event EVENT`"),
        ({"github_output": True}, "--github-output cannot be used without --event", "Add `--event EVENT`"),
        ({"changed_since": "main"}, "--changed-since cannot be used without --event", "Add `--event EVENT`"),
        ({"event": "push", "line": "cpu"}, "--line cannot be used with --event", "Leave it out"),
        ({"event": "push", "default": True}, "--default cannot be used with --event", "Leave it out"),
        ({"event": "push", "gpus": True, "json": True}, "--gpus, --json cannot be used with --event", "Leave it out"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        ci_jobs.check_options(NO_OPTIONS | options)
    assert caught.value.remedy.startswith(remedy)


def test_options_that_go_together_pass() -> None:
    ci_jobs.check_options(NO_OPTIONS | {"gpus": True, "line": "cu12", "default": True})
    ci_jobs.check_options(NO_OPTIONS | {"event": "push", "label": ["all"], "github_output": True})


def test_a_release_of_nothing_is_an_error() -> None:
    with pytest.raises(SelectionError, match="`release` selects no target, unless a label names some"):
        rows(event="release")


def test_a_selection_that_has_become_empty_is_an_error() -> None:
    releases = tuple(release.model_copy(update={"default": False}) for release in CONFIG.releases)
    with pytest.raises(SelectionError, match="the event `push` selects no target\n"):
        ci_jobs.matrix(replace(CONFIG, releases=releases), CI, event="push")


@pytest.mark.parametrize("word", ["python:3.14", "lines:cpu", "cornes", "target:tf2.20.0-cp314-cpu", "line:cu13"])
def test_a_subset_that_names_what_is_not_there_stops_every_event(word: str) -> None:
    ci = replace(CI, subsets=CI.subsets | {"release": Subset(select=["all", word])})
    with pytest.raises(ConfigError, match=r"subsets\.toml: `event\.release\.select`: .*(did you mean|known: )"):
        rows(ci, event="push")


def test_what_is_built_from_source_is_no_job_of_an_event() -> None:
    releases = (CONFIG.releases[0].model_copy(update={"lines": ["cpu", "cu13"]}),)
    changed = replace(CONFIG, releases=releases, exclusions=())
    assert {row["id"].rpartition("-")[2] for row in ci_jobs.matrix(changed, CI, event="schedule")["include"]} == {"cpu"}
    for word in ("line:cu13", f"version:{plan.targets(changed)[-1].version}"):
        with pytest.raises(
            UnknownTriggerError, match=rf"what `{re.escape(word)}` selects is built from source"
        ) as caught:
            ci_jobs.matrix(changed, CI, event="workflow_dispatch", labels=[word])
        assert "source.yml" in caught.value.remedy


@pytest.mark.parametrize(("runners", "most"), [((CPU,), 256), ((CPU, GPU), 128)])
def test_a_matrix_that_github_would_cut_is_refused(runners: tuple[Runner, ...], most: int) -> None:
    def of(count: int) -> list[dict[str, Any]]:
        versions = [f"2.{minor}.0" for minor in range(count)]
        releases = tuple(
            CONFIG.releases[0].model_copy(update={"tensorflow": version, "pythons": ["3.12"], "lines": ["cu12"]})
            for version in versions
        )
        changed = replace(CONFIG, releases=releases, exclusions=())
        return ci_jobs.matrix(changed, replace(CI, runners=runners), event="schedule")["include"]

    assert len(of(most)) == most
    with pytest.raises(MatrixTooLargeError, match=rf"jobs \({most + 1} build, \d+ use a GPU\); .*256") as caught:
        of(most + 1)
    assert "subsets.toml" in caught.value.remedy
