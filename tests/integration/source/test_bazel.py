"""A real Bazel in a container: cold, cached, shared, stopped, killed, resumed, and a source that does not compile."""

from __future__ import annotations

import ctypes
import os
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

import bazelworld
from tfwheel.config.paths import ROOT
from tfwheel.source import bazel, build_events
from tfwheel.source.errors import BazelError, BuildStoppedError, OutOfMemoryError, SourceCompileError
from tfwheel.system import containers

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.source.bazel import BazelBuild
    from tfwheel.system.containers import ContainerHost

SLOW = [f"{number} 0\n" for number in range(bazelworld.SLOW)]
KILLS = 20


def slow(folder: Path) -> list[str]:
    """What the slow actions wrote, by their numbers."""
    return [(folder / f"tensorflow/slow{number}.txt").read_text() for number in range(bazelworld.SLOW)]


def test_a_build_is_copied_out_and_a_second_one_runs_nothing(
    place: ContainerHost, build: BazelBuild, tree: Path, tmp_path: Path
) -> None:
    before = sorted(tree.rglob("*"))
    report = bazelworld.built(build, place, tmp_path / "out")
    assert (report.exit_name, report.cached) == ("SUCCESS", 0)
    assert report.ran >= bazelworld.PARTS
    wheel = tmp_path / "out" / bazelworld.WHEEL_FILE
    with zipfile.ZipFile(wheel) as archive:
        archive.extract("tensorflow/libtensorflow_framework.so.2", tmp_path)
    assert ctypes.CDLL(str(tmp_path / "tensorflow/libtensorflow_framework.so.2")).tf_version() == 220
    assert sorted(tree.rglob("*")) == before
    again = bazelworld.built(build, place, tmp_path / "out")
    assert (again.ran, again.cached) == (0, 0)
    assert wheel.is_file()
    containers.remove_volumes(place.engine, [build.volumes[bazel.OUT]])  # the output is lost, the disk cache is not
    third = bazelworld.built(build, place, tmp_path / "out")
    assert (third.ran, third.cached) == (0, report.ran)


def test_a_source_that_does_not_compile_is_shown_with_the_compilers_words(
    place: ContainerHost, build: BazelBuild, tree: Path, tmp_path: Path
) -> None:
    (tree / "tensorflow/part2.c").write_text("int part2(void) { return nothing; }\n")
    (tmp_path / "out").mkdir()
    with pytest.raises(
        SourceCompileError, match=r"CppCompile of //tensorflow:libtensorflow_framework\.so\.2 failed"
    ) as caught:
        bazelworld.built(build, place, tmp_path / "out")
    assert re.search(r"part2\.c:1:\d+: error: .nothing. undeclared", caught.value.message)
    assert not (tmp_path / "out").exists()


def test_an_option_that_bazel_does_not_know_is_named(place: ContainerHost, build: BazelBuild, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("Server terminated abruptly (of an older run)\n")
    with pytest.raises(BazelError, match=r"exit code 2: ERROR: .*--no_such_option"):
        bazelworld.built(replace(build, options=["--no_such_option"]), place, tmp_path / "out")


def test_a_build_whose_time_is_over_goes_on_where_it_stopped(
    place: ContainerHost, build: BazelBuild, tmp_path: Path
) -> None:
    long = replace(build, targets=["//tensorflow:slow"])
    with pytest.raises(BuildStoppedError, match=r"was stopped; ([\d,]+ of [\d,]+ actions were|no action was) done"):
        bazelworld.built(long, place, tmp_path / "slow", budget_s=11)
    assert not (tmp_path / "slow").exists()
    report = bazelworld.built(long, place, tmp_path / "slow")
    assert report.exit_name == "SUCCESS"
    assert slow(tmp_path / "slow") == SLOW


# As bazelisk 1.28: Bazel is its child, and it keeps the signals that it gets for itself.
STARTER = """#!/usr/bin/python3
import signal, subprocess, sys
child = subprocess.Popen(["/usr/bin/bazel", *sys.argv[1:]])
for one in (signal.SIGINT, signal.SIGTERM):
    signal.signal(one, lambda *_: None)
sys.exit(child.wait())
"""


def test_the_time_is_over_for_a_bazel_that_another_program_started_too(
    place: ContainerHost, build: BazelBuild, tmp_path: Path
) -> None:
    starter = tmp_path / "bazel"
    starter.write_text(STARTER)
    starter.chmod(0o755)
    wanted = replace(build, targets=["//tensorflow:slow"], mounts={PurePosixPath("/usr/local/bin/bazel"): starter})
    with pytest.raises(BuildStoppedError, match="was stopped"):
        bazelworld.built(wanted, place, tmp_path / "slow", budget_s=8)


def test_a_server_that_the_kernel_ended_is_said_to_have_lacked_memory(
    place: ContainerHost, build: BazelBuild, tmp_path: Path
) -> None:
    sealed: list[str] = []

    def end(*_: int) -> None:
        if not sealed:  # the process of the server dies, as by the kernel when memory is gone
            names = containers.ask([place.engine, "ps", "-q", "--filter", f"label={containers.LABEL}={build.name}"])
            sealed.append(names.split()[0])
            kill = f"kill -KILL $(cat {bazel.OUT}/base/server/server.pid.txt)"
            containers.ask([place.engine, "exec", sealed[0], "sh", "-c", kill])

    with pytest.raises(OutOfMemoryError, match=r"ran out of memory, or was killed .*actions? w") as caught:
        bazel.build(
            replace(build, targets=["//tensorflow:slow"]),
            place,
            folder=tmp_path / "out",
            log=tmp_path / "log",
            on_progress=end,
        )
    assert "`--jobs 1` needs half the memory" in caught.value.remedy


PROGRAM = """
import sys
from pathlib import Path
from tfwheel.source import bazel
from tfwheel.system.containers import ContainerHost
engine, image, name, tree, folder = sys.argv[1:]
build = bazel.BazelBuild(name=name, tree=Path(tree), targets=["//tensorflow:slow"], jobs=2, options={options!r})
place = ContainerHost(engine=engine, image=image, image_id="")
bazel.build(build, place, folder=Path(folder) / "slow", log=Path(folder) / "killed.log")
"""


def test_a_build_that_is_killed_again_and_again_goes_on_with_caches_that_are_sound(
    place: ContainerHost, build: BazelBuild, tree: Path, tmp_path: Path
) -> None:
    code = PROGRAM.format(options=bazelworld.OPTIONS)
    argv = [sys.executable, "-c", code, place.engine, place.image, build.name, str(tree), str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    dice = random.Random(15)  # noqa: S311 -- instants, no secrets
    log, reached = tmp_path / "killed.log", list[int | None]()
    for number in range(KILLS):
        log.unlink(missing_ok=True)
        process = subprocess.Popen(argv, env=env, start_new_session=True, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(1, 17))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            assert not (tmp_path / "slow").exists()
        process.wait()
        done = build_events.counter(log.read_text(errors="replace")) if log.exists() else None
        reached.append(None if process.returncode == 0 else done[0] if done else 0)
        if process.returncode == 0:  # it came to its end before: more work for the next
            assert slow(tmp_path / "slow") == [
                f"{one} {(tree / 'tensorflow/round.txt').read_text()}" for one in range(bazelworld.SLOW)
            ]
            (tree / "tensorflow/round.txt").write_text(f"{number + 1}\n")
        for path in (tmp_path / "slow").glob("*"):
            path.rename(tmp_path / f"old{number}")
        if (tmp_path / "slow").exists():
            (tmp_path / "slow").rmdir()
    ended = reached.count(None)
    (tree / "tensorflow/round.txt").write_text("0\n")
    long = replace(build, targets=["//tensorflow:slow"])
    last = bazelworld.built(long, place, tmp_path / "slow")
    assert last.exit_name == "SUCCESS"
    print(f"{KILLS} instants, {ended} ends before; last counts: {reached}; then {last.ran} ran, {last.cached} cached")  # noqa: T201
    assert slow(tmp_path / "slow") == SLOW
    containers.remove_volumes(place.engine, [build.volumes[bazel.OUT]])
    report = bazelworld.built(long, place, tmp_path / "again")
    assert (report.ran, slow(tmp_path / "again")) == (0, SLOW)  # what the disk cache has is whole
