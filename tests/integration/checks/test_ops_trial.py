"""Tests of custom ops that end their process: each is a failure that is named, in the environment of the smoke test."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from tfwheel.checks import ops_trial, smoke
from tfwheel.checks.environments import Environment
from tfwheel.checks.ops_trial import OpsUnderTest
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import Programs

if TYPE_CHECKING:
    from pathlib import Path

LOST = "test t.py on CPU:0 ended the process with exit code {} before its report"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A virtual environment without TensorFlow, which these tests do not use."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    return Environment(folder=folder, log=folder / "log", gpus=[], making=Future(), programs=Programs())


def reason(environment: Environment, program: Path, text: str) -> str | None:
    """Why a trial of a test program failed, None if it did not; ``use`` has nothing to do."""
    program.write_text(text)
    try:
        found: str | None = ops_trial.run(OpsUnderTest(tests=(("p", program),)), environment)["reason"]
    except CommandError as error:
        return smoke.reason_of(error)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("print('done')", None),
        ("import os; os._exit(0)", LOST.format(0)),
        ("import os; os._exit(3)", LOST.format(3)),
        ("import os; print('so far', flush=True); os._exit(3)", LOST.format(3) + ": so far"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "crashed in the check test t.py on CPU:0: SIGTERM"),
        ("raise SystemExit(3)", "test t.py on CPU:0: SystemExit: it ended with exit code 3"),
        ("raise KeyboardInterrupt", "test t.py on CPU:0: KeyboardInterrupt"),
        (
            "import atexit, os; atexit.register(os._exit, 5)",
            "the process ended with exit code 5 after the check test t.py on CPU:0",
        ),
        ("import atexit, os; atexit.register(os.abort)", "crashed after the check test t.py on CPU:0: SIGABRT"),
        ("import atexit, os; atexit.register(os._exit, 5); 1 / 0", "test t.py on CPU:0: ZeroDivisionError: division"),
    ],
)
def test_a_program_that_ends_its_process_is_a_failure(
    environment: Environment, tmp_path: Path, text: str, expected: str | None
) -> None:
    found = reason(environment, tmp_path / "t.py", text)
    assert (found or "").startswith(expected or "") and bool(found) is bool(expected), found  # noqa: PT018 -- one fact


def test_half_a_report_is_none(environment: Environment, tmp_path: Path) -> None:
    program = "import argparse, sys, os\nfrom pathlib import Path\n"
    program += "path = Path(sys.argv[0]).parents[2] / 'ops-test.json'\nprint(path); path.write_text('{')\nos._exit(1)\n"
    assert (reason(environment, tmp_path / "t.py", program) or "").startswith(LOST.format(1))
