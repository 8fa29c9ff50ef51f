"""The printed script of each target that is built from source, as bash and ShellCheck read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tfwheel.config import build_config, plan
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.source import script
from tfwheel.source.machine import REMOTE_JOBS
from tfwheel.source.order import Remote, SourceOrder

if TYPE_CHECKING:
    from tfwheel.config.targets import Target

TARGETS = [target for target in plan.targets(build_config.load()) if target.builder == "source"]
EXECUTOR = Remote(executor="grpcs://build.example.org:443")


@pytest.mark.parametrize("remote", [None, EXECUTOR], ids=["here", "on an executor"])
@pytest.mark.parametrize("target", TARGETS, ids=[target.id for target in TARGETS])
def test_bash_and_shellcheck_find_nothing_in_a_printed_script(
    target: Target, remote: Remote | None, tmp_path: Path
) -> None:
    program = tmp_path / "build.sh"
    program.write_text(script.text(SourceOrder.of(target, CONFIG_DIR), remote=remote))
    shellcheck = Path(sys.executable).with_name("shellcheck")
    for argv in (["/bin/bash", "-n", program], [shellcheck, program]):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_an_executor_gets_more_jobs_than_this_machine_has_cores() -> None:
    order = SourceOrder.of(TARGETS[0], CONFIG_DIR)
    text = script.text(order, remote=EXECUTOR)
    assert f"jobs=${{JOBS:-{REMOTE_JOBS}}}" in text
    assert "nproc" not in text
    assert "nproc" in script.text(order)
