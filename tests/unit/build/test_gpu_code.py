"""Retargeting beside the rest of a build: empty where the line asks for nothing, ended early where the rest fails."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel.build import gpu_code
from tfwheel.checks import gpu_gates
from tfwheel.config.schema import Retarget
from tfwheel.retarget import ptxas
from tfwheel.retarget.libraries import RetargetedLibraries, RetargetResult
from tfwheel.retarget.rewrite import Report

if TYPE_CHECKING:
    from tfwheel.build.job import Job
    from tfwheel.checks.gpu_gates import Retargeted

NOWHERE = Path("nowhere")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A build of a line that leaves TensorFlow's libraries as they are."""
    return fakewheels.job(tmp_path)


def test_a_line_that_asks_for_nothing_gets_nothing(job: Job) -> None:
    gpu_code.fetch_tools(job)
    with gpu_code.retargeted_in_background(job, NOWHERE) as made:
        native = made.result(10)
    assert (native.deflated, native.requires, native.record) == ({}, (), None)


def test_a_block_that_fails_does_not_wait_for_what_has_not_begun(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    gone: list[str] = []

    def make(_: Job, __: Path, *, pool: ptxas.WorkerPool) -> RetargetedLibraries:
        ended.wait(10)
        with suppress(CancelledError):
            pool.submit(lambda: gone.append("began") or NOWHERE, memory=1).result(10)
            gone.append("went on")
        return RetargetedLibraries()

    monkeypatch.setattr(gpu_code, "make", make)
    cancel = ptxas.WorkerPool.cancel

    def disbanded(pool: ptxas.WorkerPool) -> None:
        cancel(pool)
        ended.set()

    monkeypatch.setattr(ptxas.WorkerPool, "cancel", disbanded)
    with pytest.raises(ZeroDivisionError), gpu_code.retargeted_in_background(job, NOWHERE):
        _ = 1 / 0
    assert gone == []


def test_the_gates_are_told_what_the_line_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Retargeted] = []
    monkeypatch.setattr(gpu_gates, "run_retarget_gates", lambda library, **_: asked.append(library) or {"a": "b"})
    wanted = Retarget(archs=("70", "120"), generated=("70", "120"), tools=("ptxas==1", "nvfatbin==1"), ptx="90")
    report = Report(library="x", families={}, pointers=0, symbols=False, tools=())
    result = RetargetResult(official=NOWHERE, patched=NOWHERE, report=report, edits=())
    assert gpu_code.check(wanted, NOWHERE).run(result) == {"a": "b"}
    assert asked[0].archs[".nv_fatbin"] == ("sm_70", "sm_120", "compute_90")
    assert asked[0].archs[".rodata"] == ("sm_70", "sm_120", "compute_90")
    assert not asked[0].symbols
