"""The bench measures real programs, and says what it needs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

import fakewheels
from benchmarks import build_bench
from gpulibraries import ptx, usual
from tfwheel.config.paths import CONFIG_DIR, Paths
from tfwheel.config.schema import Retarget
from tfwheel.errors import UsageError
from tfwheel.index.errors import WheelMissingError
from tfwheel.retarget import gpu_image, ptxas
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path


def test_seconds_add_up_and_the_largest_peak_counts() -> None:
    steps = [
        [sys.executable, "-c", "import time; time.sleep(0.2)"],
        [sys.executable, "-c", "x = b'x' * 150_000_000"],
    ]
    row = build_bench.measure(work="w", who="me", steps=steps, runs=2)
    assert row.seconds > 0.2
    assert 150e6 < row.peak_bytes < 400e6
    assert (row.runs, row.ratio) == (2, None)


def test_each_run_starts_clean() -> None:
    calls: list[int] = []
    build_bench.measure(work="w", who="me", steps=[["true"]], runs=3, before=lambda: calls.append(1))
    assert len(calls) == 3


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(CommandError):
        build_bench.measure(work="w", who="me", steps=[["false"]], runs=1)


def test_the_report_is_a_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    least = build_bench.Measurement(work="w", who="cp", runs=3, seconds=1.0, peak_bytes=3_000_000)
    ours = build_bench.Measurement(work="w", who="ours", runs=3, seconds=1.5, peak_bytes=90_000_000)
    build_bench.report([least, build_bench._against(ours, least)], tmp_path / "reports" / "bench.json")
    rows = json.loads((tmp_path / "reports" / "bench.json").read_text())["rows"]
    assert [row["ratio"] for row in rows] == [None, 1.5]
    said = capsys.readouterr().err
    assert "1.50" in said
    assert "90" in said


def test_a_target_that_is_not_built_cannot_be_measured(tmp_path: Path) -> None:
    paths = Paths(settings=CONFIG_DIR, dist=tmp_path / "dist", cache=tmp_path / "cache")
    with pytest.raises(WheelMissingError, match=r"tf2\.20\.0-cp312-cu12 is not built here"):
        build_bench.rows(paths, "tf2.20.0-cp312-cu12", runs=1, door="x")


CC = "tensorflow/libtensorflow_cc.so.2"
WANTED = Retarget(archs=("70", "80", "120"), generated=("70", "120"), tools=("ptxas==1", "nvfatbin==1"), ptx="90")


def modules(folder: Path) -> Path:
    """The folder with what the line has compiled of a small library."""
    members = {CC: usual().to_bytes()}
    base = fakewheels.write_wheel(folder, members, name="tensorflow", version="2.20.0", tag="cp312-cp312-linux_x86_64")
    nothing = ptxas.PtxCompiler(program=folder, nvfatbin=folder, packages=(), cache=folder)
    build_bench.write_modules(base, [CC], WANTED, compiler=nothing, folder=folder / "modules")
    return folder / "modules"


def test_the_peer_gets_the_very_modules_that_are_compiled(tmp_path: Path) -> None:
    found = {path.read_bytes(): path.name for path in modules(tmp_path).iterdir()}
    assert set(found) == {gpu_image.portable(ptx(name)) for name in ("matmul", "conv", "reduce", "add", "mul")}
    assert all(name.endswith(".sm_120.ptx") for name in found.values())


def test_the_peer_is_called_once_for_each_with_its_arch_the_largest_first(tmp_path: Path) -> None:
    folder, log = modules(tmp_path), tmp_path / "log"
    (folder / "9.sm_100.ptx").write_bytes(bytes(5000))
    program = tmp_path / "ptxas"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    program.chmod(0o755)
    run(["sh", "-c", build_bench.ALONE, program, folder, "1"])
    lines = log.read_text().splitlines()
    assert len(lines) == 6
    assert lines[0] == "-arch sm_100 9.sm_100.ptx -o 9.sm_100"
    assert all(line.startswith("-arch sm_120 ") for line in lines[1:])


def test_a_line_that_is_not_retargeted_cannot_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = build_bench.Inputs(job=fakewheels.job(tmp_path), base=tmp_path, ops=tmp_path)
    monkeypatch.setattr(build_bench, "_inputs", lambda *_: inputs)
    with pytest.raises(UsageError, match="does not retarget the official libraries"):
        build_bench.retarget_rows(inputs.job.paths, "x", runs=1, door="x")
