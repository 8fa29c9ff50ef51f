"""Smoke: what a report and a failed program come to, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfwheel.checks import smoke
from tfwheel.checks.errors import SmokeError
from tfwheel.system.errors import CommandError

LOG = Path("dist/logs/x.log")


def failed(code: int, output: str) -> CommandError:
    """The error that `processes.run` raises."""
    return CommandError(f"`python x` ended with exit code {code}\n{output}", output=output, returncode=code)


def test_a_passed_report_raises_nothing() -> None:
    smoke.require_passed({"passed": True, "reason": None}, log=LOG)


def test_a_failed_report_is_one_line_with_reason_and_log() -> None:
    with pytest.raises(SmokeError) as failure:
        smoke.require_passed({"passed": False, "reason": "matmul on CPU:0: wrong"}, log=LOG)
    assert failure.value.message == f"smoke test failed: matmul on CPU:0: wrong (log: {LOG})"


@pytest.mark.parametrize(
    ("code", "output", "reason"),
    [
        (
            -4,
            "check import ...\ncheck import: ok (1 s)\ncheck matmul on CPU:0 ...\n",
            "in the check matmul on CPU:0: SIGILL",
        ),
        (-11, "", "crashed: SIGSEGV (Segmentation fault)"),
        (-9, "check import ...\n", "crashed in the check import: SIGKILL (Killed)"),
        (1, "check xla on CPU:0 ...\nTimeout (0:15:00)!\nThread 0x1:\n", "timed out in the check xla on CPU:0"),
        (1, "x\nERROR: No matching distribution found for a\n\nnotice", "ERROR: No matching distribution found for a"),
        (1, "one\n\n  the last words  \n", "the last words"),
        (1, "", "`python x` ended with exit code 1"),
        (
            3,
            "check test t.py on CPU:0 ...\nERROR: test_a\nFAILED (errors=1)\n",
            "test t.py on CPU:0 ended the process with exit code 3 before its report: FAILED (errors=1)",
        ),
        (0, "check import a on CPU:0 ...\n", "import a on CPU:0 ended the process with exit code 0 before its report"),
        (
            5,
            "check import a on CPU:0 ...\ncheck import a on CPU:0: ok (0 s)\n",
            "the process ended with exit code 5 after the check import a on CPU:0",
        ),
        (
            -11,
            "check import a on CPU:0 ...\ncheck import a on CPU:0: ok (0 s)\n",
            "crashed after the check import a on CPU:0: SIGSEGV",
        ),
    ],
)
def test_the_reason_for_a_failed_program_is_one_line(code: int, output: str, reason: str) -> None:
    found = smoke.reason_of(failed(code, output))
    assert reason in found
    assert "\n" not in found


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"install": [1]}', '{"install": [{"metadata": {}}]}'])
def test_what_is_no_report_of_pip_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "install.json").write_text(text)
    for path in (tmp_path / "install.json", tmp_path / "absent", tmp_path):
        with pytest.raises(SmokeError, match="pip wrote no report of what it installed"):
            smoke._installed(path)
