"""The crew that runs ptxas, with a program in its place that takes its time."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest

from tfwheel.retarget import ptxas

SLOW = "#!/bin/sh\necho $$ >> {pids}\nexec sleep 600\n"


def test_what_runs_when_the_crew_is_disbanded_is_ended_and_is_no_refusal(tmp_path: Path) -> None:
    program, pids = tmp_path / "ptxas", tmp_path / "pids"
    program.write_text(SLOW.format(pids=pids))
    program.chmod(0o755)
    compiler = ptxas.PtxCompiler(program=program, nvfatbin=Path("none"), packages=("p==1",), cache=tmp_path / "cache")
    modules = [ptxas.PtxModule(name=f"{number}", size=1, arch="120", read=f"{number}".encode) for number in range(50)]
    with ThreadPoolExecutor(max_workers=1) as aside:
        waiting = aside.submit(ptxas.compile_all, modules, compiler, name="test")
        while not pids.exists():
            assert not waiting.done()
            time.sleep(0.02)
        compiler.pool.cancel()
        with pytest.raises(CancelledError):
            waiting.result(30)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.read_text().split())
    assert not compiler.cache.exists()
