"""Gates and smoke test of a merged wheel, side by side: what is kept of it, whichever of them objects."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import fakewheels
from tfwheel.build import verification
from tfwheel.checks import wheel_gates
from tfwheel.checks.environments import Environment
from tfwheel.checks.errors import SizeGateError, SmokeError
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.system.errors import InterpreterMissingError
from tfwheel.system.processes import Programs
from tfwheel.wheel import records
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfwheel.build.job import FinishedWheel, Job

SHA = "ab" * 32
PASSED = {"passed": True, "reason": None, "gpu": "absent", "wheel_sha256": SHA}


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A merged wheel, as far as it matters here."""

    wheel: Path


@dataclass(frozen=True, kw_only=True)
class Prover:
    """A build that has a merged wheel, and an older one in its place."""

    job: Job
    environment: Environment
    monkeypatch: pytest.MonkeyPatch

    def prove(self, *, gate: Callable[[], dict[str, str]], trial: Callable[[], dict[str, Any]]) -> FinishedWheel:
        """Prove the wheel with these in place of gates and smoke test."""

        def tried(job: Job, made: FinishedWheel, environment: Environment) -> verification._SmokeOutcome:
            assert made.wheel.is_file()
            assert environment is self.environment
            return verification._SmokeOutcome(report=trial(), log=job.work / "log")

        self.monkeypatch.setattr(
            wheel_gates, "run_gates", lambda *_, **__: wheel_gates.Passed(findings=gate(), gpu_code={"ops": ["sm_75"]})
        )
        self.monkeypatch.setattr(verification, "_tried", tried)
        wheel = self.job.work / "merged" / "new.whl"
        wheel.parent.mkdir(parents=True)
        wheel.write_bytes(b"new")
        return verification.verify_merged(
            self.job,
            Merged(wheel=wheel),
            self.record("new.whl"),
            base=wheel,
            environment=self.environment,
            require_gpu=False,
        )

    def record(self, file: str) -> Record:
        return Record(
            target=self.job.target.id,
            project="tensorflow",
            version=self.job.target.version,
            line="cu12",
            python="3.12",
            file=file,
            sha256=SHA,
            size=3,
            key="k",
        )

    def kept(self) -> Record:
        """The record of what is kept, whose wheel is there too."""
        (path,) = (self.job.paths.wheels / self.job.target.id).glob(f"*{records.SUFFIX}")
        record = records.load(path)
        assert path.with_name(record.file).is_file()
        return record


@pytest.fixture
def prover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prover:
    environment = Environment(
        folder=tmp_path / "never", log=tmp_path / "log", gpus=[], making=Future(), programs=Programs()
    )
    made = Prover(job=fakewheels.job(tmp_path), environment=environment, monkeypatch=monkeypatch)
    old = tmp_path / "old.whl"
    old.write_bytes(b"old")
    made.job.keep(old, made.record("old.whl"))
    return made


def fine() -> dict[str, str]:
    return {"size": "3 bytes"}


def too_large() -> dict[str, str]:
    message = "too large"
    raise SizeGateError(message)


def no_python() -> dict[str, Any]:
    message = "no Python 3.12"
    raise InterpreterMissingError(message)


def test_both_run_at_the_same_time_and_what_they_find_is_in_the_record(prover: Prover) -> None:
    here, there = threading.Event(), threading.Event()

    def gate() -> dict[str, str]:
        here.set()
        assert there.wait(10)
        return fine()

    def trial() -> dict[str, Any]:
        there.set()
        assert here.wait(10)
        return PASSED

    record = prover.prove(gate=gate, trial=trial).record
    assert prover.kept() == record
    assert (record.file, record.gates, record.smoke, record.gpu_smoke) == ("new.whl", fine(), PASSED, None)
    assert "gates" in record.times


def test_the_record_has_the_judgement_about_the_wheel_in_each_runtime(tmp_path: Path) -> None:
    job = fakewheels.job(tmp_path)
    shutil.copytree(CONFIG_DIR / "colab", tmp_path / "colab")
    facts = {"name": "tensorflow", "version": "2.20.0+cu125.1", "extra": "Requires-Dist: numpy>=1.26.0\n"}
    wheel = fakewheels.write_wheel(tmp_path, {}, tag="cp312-cp312-manylinux_2_17_x86_64", **facts)
    record = Record(target="t", project="p", version="1", line="l", python=None, file="f", sha256=SHA, size=1, key="k")
    found = verification._gated(record, wheel_gates.Passed(findings={}, gpu_code={"ops": ["sm_75"]}), job, wheel).fit
    assert {name: found[name]["verdict"] for name in ("2026.08", "2026.07")} == {"2026.08": "breaks", "2026.07": "fits"}
    assert found["2026.08"]["reasons"] == ["It is for Python 3.12, and this runtime has 3.13."]


def test_a_wheel_that_a_gate_refuses_is_not_kept_and_the_older_one_stays(prover: Prover) -> None:
    with pytest.raises(SizeGateError):
        prover.prove(gate=too_large, trial=lambda: PASSED)
    assert prover.kept().file == "old.whl"


def test_a_smoke_test_of_a_wheel_that_a_gate_refuses_is_not_waited_for(prover: Prover) -> None:
    seen = []

    def trial() -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while not prover.environment.programs.ended and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(prover.environment.programs.ended)
        return PASSED

    with pytest.raises(SizeGateError):
        prover.prove(gate=too_large, trial=trial)
    assert seen == [True]


def test_one_of_a_wheel_that_passes_them_is(prover: Prover) -> None:
    prover.prove(gate=fine, trial=lambda: PASSED)
    assert not prover.environment.programs.ended


def test_a_wheel_that_does_not_work_is_kept_with_its_report(prover: Prover) -> None:
    failed = PASSED | {"passed": False, "reason": "SIGSEGV"}
    with pytest.raises(SmokeError, match="SIGSEGV"):
        prover.prove(gate=fine, trial=lambda: failed)
    assert (prover.kept().gates, prover.kept().smoke) == (fine(), failed)
    assert not prover.kept().passed_smoke


def test_a_wheel_that_could_not_be_tried_is_kept_for_the_next_run(prover: Prover) -> None:
    with pytest.raises(InterpreterMissingError):
        prover.prove(gate=fine, trial=no_python)
    assert (prover.kept().file, prover.kept().gates, prover.kept().smoke) == ("new.whl", fine(), None)


def test_what_a_gate_says_comes_first(prover: Prover) -> None:
    with pytest.raises(SizeGateError):
        prover.prove(gate=too_large, trial=no_python)
