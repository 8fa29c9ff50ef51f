"""The bench of the index runs both programs for real and says who wrote what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks import index_bench
from tfwheel.index import ledger

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[index_bench.IndexMeasurement]:
    folder = tmp_path_factory.mktemp("bench") / "work"
    found = index_bench.rows(folder, sizes=[100, 200], runs=1)
    assert not folder.exists()
    return found


def test_every_program_is_measured_on_every_size_in_full_and_on_top(rows: list[index_bench.IndexMeasurement]) -> None:
    assert len(rows) == 2 * 2 * 3 * 2
    assert len({(row.files, row.projects, row.what, row.who) for row in rows}) == len(rows)
    assert all(row.seconds > 0 and row.peak_bytes > 10e6 for row in rows)


def test_what_was_written_is_counted(rows: list[index_bench.IndexMeasurement]) -> None:
    ours = {(row.projects, row.what): row for row in rows if (row.who, row.files) == (index_bench.OURS, 200)}
    assert ours[100, "full"].written_files == 2 * 100 + 2
    assert ours[100, "one release on top"].written_files == 2
    assert ours[100, "one release on top"].written_bytes < ours[100, "full"].written_bytes / 20


def test_the_report_states_ratios_and_growth(
    rows: list[index_bench.IndexMeasurement], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index_bench.report(rows, tmp_path / "reports" / "index.json")
    said = json.loads((tmp_path / "reports" / "index.json").read_text())
    assert len(said["rows"]) == len(rows)
    assert len(said["growth"]) == 2 * 3 * 2
    assert said["growth"][0].startswith("this project, 1 projects, full: 100 to 200 files: n^")
    assert "dumb-pypi" in capsys.readouterr().err
    index_bench.report(rows[:6], tmp_path / "one.json")
    assert json.loads((tmp_path / "one.json").read_text())["growth"] == []


def test_the_synthetic_files_make_a_valid_ledger(tmp_path: Path) -> None:
    listed = index_bench.entries(1000, 100, more=5)
    assert len(ledger.write(tmp_path / "ledger.jsonl", listed).entries) == 1005
    assert len({entry.project for entry in listed}) == 100
