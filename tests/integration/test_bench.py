"""The bench measures real programs, and says what it needs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tfwheel import bench, config
from tfwheel.errors import CommandError, NothingToServeError
from tfwheel.places import Places

if TYPE_CHECKING:
    from pathlib import Path


def test_seconds_add_up_and_the_largest_peak_counts() -> None:
    steps = [
        [sys.executable, "-c", "import time; time.sleep(0.2)"],
        [sys.executable, "-c", "x = b'x' * 150_000_000"],
    ]
    row = bench.measure(work="w", who="me", steps=steps, runs=2)
    assert row.seconds > 0.2
    assert 150e6 < row.peak_bytes < 400e6
    assert (row.runs, row.ratio) == (2, None)


def test_each_run_starts_clean() -> None:
    calls: list[int] = []
    bench.measure(work="w", who="me", steps=[["true"]], runs=3, before=lambda: calls.append(1))
    assert len(calls) == 3


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(CommandError):
        bench.measure(work="w", who="me", steps=[["false"]], runs=1)


def test_the_report_is_a_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    least = bench.Row(work="w", who="cp", runs=3, seconds=1.0, peak_bytes=3_000_000)
    ours = bench.Row(work="w", who="ours", runs=3, seconds=1.5, peak_bytes=90_000_000)
    bench.report([least, bench._against(ours, least)], tmp_path / "reports" / "bench.json")
    rows = json.loads((tmp_path / "reports" / "bench.json").read_text())["rows"]
    assert [row["ratio"] for row in rows] == [None, 1.5]
    said = capsys.readouterr().err
    assert "1.50" in said
    assert "90" in said


def test_a_target_that_is_not_built_cannot_be_measured(tmp_path: Path) -> None:
    places = Places(settings=config.CONFIG_DIR, dist=tmp_path / "dist", cache=tmp_path / "cache")
    with pytest.raises(NothingToServeError, match=r"tf2\.20\.0-cp312-cu12 is not built here"):
        bench.rows(places, "tf2.20.0-cp312-cu12", runs=1, door="x")
