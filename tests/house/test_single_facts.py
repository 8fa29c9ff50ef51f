"""Facts that several tools want in files of their own say the same in each."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from ruamel.yaml import YAML

from tfwheel.config import build_config
from tfwheel.config.paths import ROOT
from tfwheel.doctor.choice import JIT_TIME

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RUNS_ON = "3.12"  # the Python of the factory itself in CI
OF_THE_DOCTOR = {f"3.{minor}" for minor in range(9, 15)}
OF_TARGETS = {python for release in build_config.load().releases for python in release.pythons}


def pythons(path: Path) -> list[list[str]]:
    """The Pythons of each setup-python step of a workflow, in order."""
    jobs = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["jobs"].values()
    steps = [step.get("with", {}) for job in jobs for step in job.get("steps", ())]
    return [str(step["python-version"]).strip().split("\n") for step in steps if "python-version" in step]


def test_the_oldest_python_of_the_factory_is_the_same_everywhere() -> None:
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert f'# requires-python = ">={oldest}"' in (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_ci_runs_the_factory_on_one_python_and_knows_no_other_than_the_targets(path: Path) -> None:
    for step in pythons(path):
        assert step[-1] == RUNS_ON  # the last one is what `python` starts
        assert {python for python in step if "{{" not in python} <= OF_TARGETS or set(step) == OF_THE_DOCTOR


def test_the_doctor_runs_on_every_python_that_it_promises() -> None:
    found = pythons(ROOT / ".github" / "workflows" / "ci.yml")
    assert any(set(step) == OF_THE_DOCTOR for step in found)
    assert f"It needs Python {min(OF_THE_DOCTOR, key=Version)} or newer" in (ROOT / "index/docs/doctor.md").read_text(
        "utf-8"
    )
    assert OF_TARGETS <= OF_THE_DOCTOR


def test_how_long_ptx_takes_is_said_in_the_same_words_everywhere() -> None:
    for name in ("index/docs/gpu.md", "index/docs/doctor.md", "index/page/selector.js"):
        assert JIT_TIME in (ROOT / name).read_text("utf-8"), name


def test_the_doctors_exit_codes_are_found_from_the_factorys() -> None:
    assert "(doctor.md#exit-codes)" in (ROOT / "index/docs/errors.md").read_text("utf-8")
    assert "(index/docs/doctor.md#exit-codes)" in (ROOT / "README.md").read_text("utf-8")


def test_how_a_log_is_made_is_said_wherever_one_is_asked_for() -> None:
    for name in ("index/docs/install.md", "index/docs/doctor.md"):
        text = (ROOT / name).read_text("utf-8")
        assert "`!pip install … 2>&1 | tee install.log`" in text
        assert "`%pip install --log install.log …`" in text


def test_a_row_on_a_missing_version_names_the_index_too() -> None:
    rows = (ROOT / "index/docs/install.md").read_text("utf-8").partition("| you see")[2].splitlines()
    asked = [row for row in rows if row.startswith(("| `pip install tensorflow` changes", "| `No matching dist"))]
    assert len(asked) == 2
    assert all("--extra-index-url https://example.org/index/cu12/" in row for row in asked)


def test_the_tests_have_every_python_that_is_built_for() -> None:
    """Of a release candidate, its own job brings the Python: few machines have the newest one yet."""
    finals = [one for one in build_config.load().releases if not Version(one.tensorflow).is_prerelease]
    found = pythons(ROOT / ".github" / "workflows" / "ci.yml")
    assert any(set(step) == {python for one in finals for python in one.pythons} for step in found)
