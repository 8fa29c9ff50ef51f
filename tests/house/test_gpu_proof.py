"""What tests/gpu/ decides without a GPU: whether two runs agree, and what a GPU is expected to run."""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = Path(__file__).parents[1] / "gpu"


def program(name: str) -> ModuleType:
    """A program of tests/gpu/, as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OPSWEEP, PROOF = program("opsweep"), program("prove_retarget")
RESULTS = {
    "add|float32|forward": np.array([1.0, np.nan], np.float32),
    "add|float32|gradient 0": np.array([2.0, np.inf], np.float32),
    "add|bfloat16|forward": np.array([1.0], np.float32),
    "cast to int8|int32|forward": np.array([3], np.int8),
    "cumsum|uint8|error": np.array("NotFoundError"),
}


def compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, exact: bool = False, least: int = 3, **changes: object
) -> tuple[int, dict[str, Any]]:
    """Exit code and report where the second run differs in ``changes`` (None: it lacks that one)."""
    left, right = tmp_path / "left.npz", tmp_path / "right.npz"
    np.savez(left, **RESULTS)
    np.savez(right, **{name: value for name, value in (RESULTS | changes).items() if value is not None})
    arguments = argparse.Namespace(left=left, right=right, exact=exact, least=least)
    code = OPSWEEP.compare(arguments)
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, report


def test_equal_runs_are_equal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = compared(tmp_path, capsys, exact=True)
    assert (code, report["pairs"], report["equal to the bit"], report["differ"]) == (0, 3, 5, {})


def test_too_few_pairs_prove_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compared(tmp_path, capsys, least=4)[0] == 1


@pytest.mark.parametrize(
    ("changes", "exact", "differ"),
    [
        ({"add|float32|forward": np.array([1.0 + 2**-22, np.nan], np.float32)}, False, {}),
        (
            {"add|float32|forward": np.array([1.0 + 2**-22, np.nan], np.float32)},
            True,
            {"add|float32|forward": "differs"},
        ),
        ({"add|float32|forward": np.array([1.001, np.nan], np.float32)}, False, {"add|float32|forward": "differs"}),
        ({"add|float32|forward": np.array([1.0, 0.0], np.float32)}, False, {"add|float32|forward": "differs"}),
        ({"add|bfloat16|forward": np.array([1.0 + 2**-7], np.float32)}, False, {}),
        ({"add|float32|forward": np.array([1.0, np.nan])}, False, {"add|float32|forward": "differs"}),
        ({"cast to int8|int32|forward": np.array([4], np.int8)}, False, {"cast to int8|int32|forward": "differs"}),
        ({"cumsum|uint8|error": None}, False, {"cumsum|uint8|error": "in one run only"}),
        ({"cumsum|uint8|error": np.array("InternalError")}, False, {"cumsum|uint8|error": "differs"}),
    ],
)
def test_what_differs_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    exact: bool,  # noqa: FBT001 -- a column of the table above
    differ: dict[str, str],
) -> None:
    code, report = compared(tmp_path, capsys, exact=exact, **changes)
    assert (code, report["differ"]) == (1 if differ else 0, differ)


@pytest.mark.parametrize(
    ("archs", "capability", "expected"),
    [
        (["70", "80", "120"], (7, 5), True),
        (["70", "80", "120"], (9, 0), False),
        (["70", "80", "120"], (12, 1), True),
        (["89"], (8, 0), False),
    ],
)
def test_what_serves_a_gpu(archs: list[str], capability: tuple[int, int], *, expected: bool) -> None:
    assert PROOF.serves(archs, capability) is expected


def test_the_levels_of_dumped_code_are_read(tmp_path: Path) -> None:
    (tmp_path / "module_0001.ptx").write_text("//\n.version 8.7\n.target sm_90a\n")
    (tmp_path / "module_0001.ll").write_text(".version 9.9\n")
    assert PROOF.dumped(tmp_path) == ["8.7"]
