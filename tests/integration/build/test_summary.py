"""The summary of a run in CI, from the matrix that was planned to the page that is shown: both doors as programs."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tfwheel.config.errors import SelectionError
from tfwheel.config.paths import ROOT
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel import records
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The doors, in a checkout of their own."""
    for name in ("scripts", "build_config"):
        shutil.copytree(ROOT / name, tmp_path / "checkout" / name)
    return tmp_path / "checkout" / "scripts"


def test_what_was_planned_is_what_is_expected(scripts: Path, tmp_path: Path) -> None:
    matrix = run([sys.executable, scripts / "plan_matrix.py", "--event", "pull_request"])
    ids = [row["id"] for row in json.loads(matrix)["include"]]
    built = Record(
        target=ids[0],
        project="tensorflow",
        version="2.20.0+cu125.1",
        line="cu12",
        python="3.12",
        file="x.whl",
        sha256="ab" * 32,
        size=1,
        key="k",
        smoke={"passed": True, "wheel_sha256": "ab" * 32},
    )
    artifacts, shown = tmp_path / "run", tmp_path / "step.md"
    records.save(built, artifacts / f"wheel-{ids[0]}" / ids[0] / "x.whl")
    words = [sys.executable, scripts / "write_summary.py", "--from", artifacts, "--expect", matrix]
    said = run(words, env={"GITHUB_STEP_SUMMARY": str(shown)})
    text = shown.read_text()
    assert (scripts.parent / "dist" / "reports" / "summary.md").read_text() == text
    assert f"| passed | `{ids[0]}` |" in text
    for name in ids[1:]:
        assert f"| missing | `{name}` |" in text
    assert "1 passed" in said
    assert "the summary of this job" in said


def test_what_nobody_planned_is_refused(scripts: Path) -> None:
    with pytest.raises(CommandError) as caught:
        run([sys.executable, scripts / "write_summary.py", "--expect", "tf9.9.9-cp312-cu12"])
    assert caught.value.returncode == SelectionError.exit_code
    assert not (scripts.parent / "dist").exists()
