"""Smoke checks: right results pass, and each kind of wrong one is seen and named."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tfwheel.checks import smoke_checks

if TYPE_CHECKING:
    from collections.abc import Callable

FAKE = Path(__file__).parents[2] / "data" / "fake_tensorflow.py"
WORDS = ["--project", "tensorflow", "--version", "2.20.0+cu125.1", "--tensorflow", "2.20.0"]
FIRST_KERNEL = smoke_checks._first_kernel


@pytest.fixture
def tensorflow(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The stand-in, imported as ``tensorflow`` of the pinned version."""
    spec = importlib.util.spec_from_file_location("tensorflow", FAKE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    monkeypatch.setattr(importlib.metadata, "version", lambda _project: "2.20.0+cu125.1")
    return module


@pytest.fixture
def real_first_kernel() -> Callable[[dict[str, str]], float | None]:
    """The function itself, which `children` puts another in place of."""
    return FIRST_KERNEL


@pytest.fixture(autouse=True)
def children(monkeypatch: pytest.MonkeyPatch) -> dict[str, float | None]:
    """What programs of their own say of their first kernel, by kind; to be changed by a test."""
    answers: dict[str, float | None] = {"cached": 0.01, "cold": 0.02, "native": 0.02}
    kinds = {tuple(variables.items()): name for name, variables in smoke_checks.FIRST_KERNEL.items()}
    monkeypatch.setattr(smoke_checks, "_first_kernel", lambda variables: answers[kinds[tuple(variables.items())]])
    return answers


def checked(tmp_path: Path, *words: str) -> dict[str, Any]:
    """The report of a run."""
    code = smoke_checks.main([*WORDS, *words, "--json", str(tmp_path / "report.json")])
    report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
    assert code == (0 if report["passed"] else 1)
    return report


@pytest.mark.usefixtures("tensorflow")
def test_a_right_tensorflow_passes_and_claims_no_gpu(tmp_path: Path) -> None:
    report = checked(tmp_path)
    assert report["passed"] is True
    assert report["reason"] is None
    assert report["gpu"] == "absent"
    assert report["tensorflow"] == "2.20.0"
    names = ["import", "version", "first kernel", "matmul", "conv2d", "keras fit", "xla"]
    assert [check["name"] for check in report["checks"]] == names
    assert {check["device"] for check in report["checks"]} == {"", "CPU:0"}


def test_on_a_gpu_everything_runs_on_both_devices(tmp_path: Path, tensorflow: ModuleType) -> None:
    tensorflow.GPUS.append("GPU:0")
    report = checked(tmp_path, "--expect-gpu")
    assert report["passed"] is True
    assert report["gpu"]["name"] == "Stand-in GPU"
    assert report["gpu"]["compute_capability"] == "7.5"
    assert report["gpu"]["seconds_to_first_kernel"] >= 0
    devices = [check["device"] for check in report["checks"]]
    assert devices.count("CPU:0") == devices.count("GPU:0") == 5


@pytest.mark.parametrize(
    "outcome", [(0.02, 0.02, "not used"), (None, 0.5, "used"), (None, None, "failed")], ids=lambda outcome: outcome[2]
)
def test_the_report_says_whether_the_driver_compiled(
    tmp_path: Path,
    tensorflow: ModuleType,
    children: dict[str, float | None],
    outcome: tuple[float | None, float | None, str],
) -> None:
    native, cold, jit = outcome
    tensorflow.GPUS.append("GPU:0")
    children |= {"native": native, "cold": cold}
    gpu = checked(tmp_path, "--expect-gpu")["gpu"]
    assert gpu["first_kernel_s"] == {"cached": 0.01, "cold": cold, "native": native}
    assert gpu["jit"].startswith(f"{jit}: ")


@pytest.mark.usefixtures("tensorflow")
def test_without_a_gpu_no_program_is_asked(tmp_path: Path, children: dict[str, float | None]) -> None:
    children.clear()
    assert checked(tmp_path)["gpu"] == "absent"


def test_the_first_kernel_is_timed_on_the_gpu(tensorflow: ModuleType) -> None:
    tensorflow.GPUS.append("GPU:0")
    assert 0 <= smoke_checks.time_first_kernel() < 60


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (SimpleNamespace(stdout="noise\n0.25\n"), 0.25),
        (SimpleNamespace(stdout=""), None),
        (subprocess.CalledProcessError(1, "python"), None),
        (subprocess.TimeoutExpired("python", 300), None),
    ],
)
def test_a_program_that_fails_has_no_time(
    monkeypatch: pytest.MonkeyPatch,
    real_first_kernel: Callable[[dict[str, str]], float | None],
    outcome: object,
    seconds: float | None,
) -> None:
    asked: dict[str, Any] = {}

    def run(words: list[str], **options: object) -> object:
        asked.update(options | {"words": words})
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(subprocess, "run", run)
    assert real_first_kernel({"CUDA_CACHE_DISABLE": "1"}) == seconds
    assert asked["env"]["CUDA_CACHE_DISABLE"] == "1"
    assert asked["words"][-1] == "first-kernel"


@pytest.mark.usefixtures("tensorflow")
def test_an_expected_gpu_that_tensorflow_does_not_see_fails_and_ends_the_run(tmp_path: Path) -> None:
    report = checked(tmp_path, "--expect-gpu")
    assert report["passed"] is False
    assert "TensorFlow sees none" in report["reason"]
    assert len(report["checks"]) == 1


def test_a_result_that_moved_to_the_cpu_is_no_gpu_success(
    tmp_path: Path, tensorflow: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensorflow.GPUS.append("GPU:0")

    class Stuck(list[str]):
        def append(self, _name: str) -> None:
            super().append("CPU:0")

    monkeypatch.setattr(tensorflow, "devices", Stuck(["CPU:0"]))
    report = checked(tmp_path)
    assert report["passed"] is False
    assert "lies on" in report["reason"]
    assert [check["passed"] for check in report["checks"] if check["device"] == "GPU:0"] == [False] * 5


@pytest.mark.usefixtures("tensorflow")
def test_an_import_that_fails_is_the_reason_and_nothing_else_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    report = checked(tmp_path)
    assert report["reason"].startswith("import: ModuleNotFoundError")
    assert len(report["checks"]) == 1


@pytest.mark.parametrize("end", [SystemExit(0), KeyboardInterrupt("x")], ids=repr)
def test_what_wants_to_end_the_process_is_a_failure(tmp_path: Path, tensorflow: ModuleType, end: BaseException) -> None:
    def matmul(*_: object) -> None:
        raise end

    tensorflow.matmul = matmul
    report = checked(tmp_path)
    assert report["reason"] == f"matmul on CPU:0: {type(end).__name__}: {end}"
    assert len(report["checks"]) == 7


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (
            {"matmul": lambda a, b: result(a.array @ b.array + 0.01)},
            "matmul on CPU:0: AssertionError: the largest error",
        ),
        ({"matmul": lambda a, b: result((a.array @ b.array)[:1])}, "matmul on CPU:0: AssertionError: shape"),
        ({"matmul": lambda a, b: result(a.array @ b.array * float("nan"))}, "matmul on CPU:0: AssertionError"),
        ({"tanh": lambda x: x}, "xla on CPU:0: AssertionError: the largest error"),
    ],
)
def test_a_wrong_result_is_the_reason_and_the_other_checks_still_run(
    tmp_path: Path, tensorflow: ModuleType, wrong: dict[str, object], reason: str
) -> None:
    vars(tensorflow).update(wrong)
    report = checked(tmp_path)
    assert report["passed"] is False
    assert report["reason"].startswith(reason)
    assert len(report["checks"]) == 7


def result(value: object) -> SimpleNamespace:
    """A result on the CPU."""
    return SimpleNamespace(device="/device:CPU:0", numpy=lambda: value, array=value)


@pytest.mark.parametrize(("losses", "reason"), [([1.0, 2.0], "does not fall"), ([1.0, float("nan")], "not finite")])
def test_a_model_that_does_not_learn_fails(
    tmp_path: Path, tensorflow: ModuleType, monkeypatch: pytest.MonkeyPatch, losses: list[float], reason: str
) -> None:
    history = SimpleNamespace(history={"loss": losses})
    monkeypatch.setattr(tensorflow.Sequential, "fit", lambda *_args, **_options: history)
    assert reason in checked(tmp_path)["reason"]


def test_every_version_must_agree(tmp_path: Path, tensorflow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow, "__version__", "2.21.0")
    assert "tf.__version__ is 2.21.0, not 2.20.0" in checked(tmp_path)["reason"]


def test_a_pre_release_calls_itself_otherwise_than_its_wheel(
    tensorflow: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tensorflow, "__version__", "2.22.0-rc0")
    assert checked(tmp_path, "--tensorflow", "2.22.0rc0")["passed"]
    assert "tf.__version__ is 2.22.0-rc0, not 2.22.0" in checked(tmp_path, "--tensorflow", "2.22.0")["reason"]
    monkeypatch.setattr(importlib.metadata, "version", lambda _project: "2.20.0")
    assert "tensorflow is 2.20.0, not 2.20.0+cu125.1" in checked(tmp_path)["reason"]


def test_a_build_label_must_be_of_this_version(tmp_path: Path, tensorflow: ModuleType) -> None:
    tensorflow.version.BUILD_LABEL = "2.20.0+cu125.1"
    assert checked(tmp_path)["passed"] is True
    tensorflow.version.BUILD_LABEL = "2.20.0+cu128.1"
    assert "BUILD_LABEL is 2.20.0+cu128.1" in checked(tmp_path)["reason"]
