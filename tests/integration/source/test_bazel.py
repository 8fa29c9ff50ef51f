"""A real Bazel in a container: cold, cached, stopped, killed, resumed, and a source that does not compile."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import needs
from tfwheel.config.paths import ROOT
from tfwheel.source import bazel
from tfwheel.source.bazel import BazelBuild
from tfwheel.source.errors import BazelError, BuildStoppedError, SourceCompileError
from tfwheel.system import containers
from tfwheel.system.errors import ContainerEngineError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.system.containers import ContainerHost

BOOTSTRAP = ROOT / "tests" / "container" / "bootstrap-bazel"
IMAGE = "localhost/tfwheel-bazel-test"
# Debian has the rules that Bazel would fetch for a workspace of the older kind, which TensorFlow's is.
RULES = {
    "bazel_features": "tools/features",
    "bazel_skylib": "tools/skylib",
    "platforms": "platforms/platforms",
    "rules_cc": "rules/cc",
    "rules_java": "rules/java",
    "rules_license": "rules/license",
    "rules_proto": "rules/proto",
    "rules_python": "rules/python",
}
# As TensorFlow's contract is: a target, a config, a variable of repository rules, and a wheel in a folder of its own.
BAZELRC = "common --noenable_bzlmod --enable_workspace\n" + "".join(
    f"common --override_repository={name}=/usr/share/bazel/{path}\n" for name, path in RULES.items()
)
BUILD = """
cc_binary(name = "libanswer.so", srcs = ["answer.cc"] + glob(["part*.cc"]), linkshared = True)
genrule(
    name = "wheel",
    srcs = [":libanswer.so"],
    outs = ["wheel_house/imitation-1-py3-none-any.whl"],
    cmd = "cp $(location :libanswer.so) $@",
)
[genrule(name = "slow%d" % n, outs = ["slow%d.txt" % n], cmd = "sleep 2; echo %d > $@" % n) for n in range(8)]
filegroup(name = "slow", srcs = [":slow%d" % n for n in range(8)])
"""


@pytest.fixture(scope="module")
def place() -> Iterator[ContainerHost]:
    needs.programs("debootstrap")
    if os.geteuid() != 0:
        pytest.skip("only root can make an image from packages: run `sudo nox -s tests`")
    with pytest.MonkeyPatch.context() as patch:
        if "CONTAINERS_CONF" not in os.environ:
            patch.setenv("CONTAINERS_CONF", str(ROOT / "tests" / "container" / "containers.conf"))
        try:
            engine = containers.find_engine()
        except ContainerEngineError as error:
            pytest.skip(str(error))
        run([BOOTSTRAP, IMAGE, engine])
        try:
            yield containers.find_place(engine, IMAGE)
        finally:
            containers.ask([engine, "rmi", "--force", IMAGE])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    files = {
        "WORKSPACE": 'workspace(name = "imitation")\n',
        ".bazelrc": BAZELRC,
        "BUILD": BUILD,
        "answer.cc": 'int part(int);\nextern "C" int answer() { return part(20) + 2; }\n',
        "part.cc": "int part(int number) { return 2 * number; }\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def order(place: ContainerHost, tree: Path, tmp_path: Path) -> Iterator[BazelBuild]:
    made = BazelBuild(
        name=f"tfwheel-test-{os.getpid()}-{abs(hash(tmp_path.name))}", tree=tree, targets=["//:wheel"], jobs=2
    )
    yield made
    bazel.remove_caches(made, place.engine)
    volumes = containers.ask([place.engine, "volume", "ls", "--quiet"]).split()
    assert not [name for name in volumes if name.startswith(made.name)]
    assert not containers.ask([place.engine, "ps", "-aq", "--filter", f"label={containers.LABEL}={made.name}"]).split()


def test_a_build_is_copied_out_and_a_second_one_runs_nothing(
    place: ContainerHost, order: BazelBuild, tree: Path, tmp_path: Path
) -> None:
    before = sorted(tree.rglob("*"))
    counts: list[tuple[int, int]] = []
    report = bazel.build(
        order, place, folder=tmp_path / "out", log=tmp_path / "log", on_progress=lambda *count: counts.append(count)
    )
    assert (report.exit_name, report.cached) == ("SUCCESS", 0)
    assert report.ran >= 4
    assert counts
    wheel = tmp_path / "out" / "wheel_house/imitation-1-py3-none-any.whl"
    assert ctypes.CDLL(str(wheel)).answer() == 42
    assert sorted(tree.rglob("*")) == before
    again = bazel.build(order, place, folder=tmp_path / "out", log=tmp_path / "again")
    assert (again.ran, again.cached) == (0, 0)
    assert wheel.is_file()
    containers.remove_volumes(place.engine, [order.volumes[bazel.OUT]])  # the output is lost, the disk cache is not
    third = bazel.build(order, place, folder=tmp_path / "out", log=tmp_path / "third")
    assert (third.ran, third.cached) == (0, report.ran)


def test_a_source_that_does_not_compile_is_shown_with_the_compilers_words(
    place: ContainerHost, order: BazelBuild, tree: Path, tmp_path: Path
) -> None:
    (tree / "part.cc").write_text("int part(int number) { return nothing; }\n")
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceCompileError, match=r"CppCompile of //:libanswer\.so failed") as caught:
        bazel.build(order, place, folder=tmp_path / "out", log=tmp_path / "log")
    assert "part.cc:1:31: error: 'nothing' was not declared in this scope" in caught.value.message
    assert not (tmp_path / "out").exists()


def test_an_option_that_bazel_does_not_know_is_named(place: ContainerHost, order: BazelBuild, tmp_path: Path) -> None:
    with pytest.raises(BazelError, match=r"exit code 2: ERROR: .*--no_such_option"):
        bazel.build(replace(order, options=["--no_such_option"]), place, folder=tmp_path / "out", log=tmp_path / "log")


def test_a_build_whose_time_is_over_goes_on_where_it_stopped(
    place: ContainerHost, order: BazelBuild, tmp_path: Path
) -> None:
    slow = replace(order, targets=["//:slow"])
    bazel.build(order, place, folder=tmp_path / "out", log=tmp_path / "log")  # what a server needs to begin is there
    with pytest.raises(BuildStoppedError, match=r"was stopped; \d+ of \d+ actions were done|no action was done"):
        bazel.build(slow, place, folder=tmp_path / "slow", log=tmp_path / "slow.log", budget_s=14)
    assert not (tmp_path / "slow").exists()
    report = bazel.build(slow, place, folder=tmp_path / "slow", log=tmp_path / "slow.log")
    assert report.ran + report.cached <= 8
    assert sorted(path.read_text() for path in (tmp_path / "slow").glob("*.txt")) == [f"{n}\n" for n in range(8)]


KILLED = """
import sys
from pathlib import Path
from tfwheel.source import bazel
from tfwheel.system.containers import ContainerHost
engine, image, name, tree, folder = sys.argv[1:]
order = bazel.BazelBuild(name=name, tree=Path(tree), targets=["//:slow"], jobs=2)
place = ContainerHost(engine=engine, image=image, image_id="")
bazel.build(order, place, folder=Path(folder) / "slow", log=Path(folder) / "killed.log")
"""


def test_a_build_that_was_killed_goes_on_with_a_cache_that_is_sound(
    place: ContainerHost, order: BazelBuild, tree: Path, tmp_path: Path
) -> None:
    argv = [sys.executable, "-c", KILLED, place.engine, place.image, order.name, str(tree), str(tmp_path)]
    process = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")}, start_new_session=True)
    log, until = tmp_path / "killed.log", time.monotonic() + 120
    while time.monotonic() < until and not (log.exists() and "[2 / " in log.read_text()):
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "slow").exists()
    report = bazel.build(
        replace(order, targets=["//:slow"]), place, folder=tmp_path / "slow", log=tmp_path / "again.log"
    )
    assert report.exit_name == "SUCCESS"
    assert sorted(path.read_text() for path in (tmp_path / "slow").glob("*.txt")) == [f"{n}\n" for n in range(8)]
