"""Retargeting beside the rest of a build: empty where the line asks for nothing, ended early where the rest fails."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel import native_code, ptxas
from tfwheel.libraries import Native
from tfwheel.targets import Retarget

if TYPE_CHECKING:
    from tfwheel.job import Job

NOWHERE = Path("nowhere")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A build of a line that leaves TensorFlow's libraries as they are."""
    return fakewheels.job(tmp_path)


def test_a_line_that_asks_for_nothing_gets_nothing(job: Job) -> None:
    native_code.fetch_tools(job)
    with native_code.beside(job, NOWHERE) as made:
        native = made.result(10)
    assert (native.deflated, native.requires, native.record) == ({}, (), None)


def test_a_block_that_fails_does_not_wait_for_what_has_not_begun(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    gone: list[str] = []

    def make(_: Job, __: Path, *, crew: ptxas.Crew) -> Native:
        ended.wait(10)
        with suppress(CancelledError):
            crew.submit(lambda: gone.append("began") or NOWHERE, memory=1).result(10)
            gone.append("went on")
        return Native()

    monkeypatch.setattr(native_code, "make", make)
    disband = ptxas.Crew.disband

    def disbanded(crew: ptxas.Crew) -> None:
        disband(crew)
        ended.set()

    monkeypatch.setattr(ptxas.Crew, "disband", disbanded)
    with pytest.raises(ZeroDivisionError), native_code.beside(job, NOWHERE):
        _ = 1 / 0
    assert gone == []


def test_the_gates_are_part_of_what_is_kept() -> None:
    wanted = Retarget(archs=("70",), generated=("70",), tools=("ptxas==1",), ptx="90")
    first, second = (native_code.check(one, NOWHERE) for one in (wanted, replace(wanted, archs=("80",))))
    assert first.key == second.key  # what is wanted is a fact of its own in the key of a library
