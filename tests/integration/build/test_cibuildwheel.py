"""The ops wheel by cibuildwheel, in a real container of an image made from this distribution's packages."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from platformdirs import user_cache_path

import fakewheels
import pythonimage
from tfwheel.build import ops_in_container, pins, pipeline
from tfwheel.build.errors import CompileError, ContainerBuildError
from tfwheel.checks.errors import ArchGateError
from tfwheel.config import build_config, plan
from tfwheel.config.build_images import BuildImage
from tfwheel.config.paths import CONFIG_DIR, ROOT, Paths
from tfwheel.system import containers, digests, files, interpreters
from tfwheel.system.errors import CommandError, ContainerEngineError, ContainerImageError, InterpreterMissingError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.wheel import records

DATA = ROOT / "tests" / "data"
IMAGE = pythonimage.IMAGE
# Of another distribution: it puts the clang that is there where that one's would be.
DNF = "RUN echo 'ln -sf clang++-19 /usr/bin/clang++' > /usr/bin/dnf && chmod +x /usr/bin/dnf\n"
REPAIR_TOML = 'ceiling = "manylinux_2_40_x86_64"\nmax_bytes = 10_000_000\nexclude = ["libtensorflow_framework.so.2"]\n'
# The custom-op project as it is, its ops exchanged for one that needs no header of TensorFlow but the stand-in's.
CMAKE = """\
cmake_minimum_required(VERSION 3.26...4.0)
project(tfwheel_ops LANGUAGES CXX)
list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_SOURCE_DIR}/cmake")
include(OpLibrary)
set(sources "${CMAKE_CURRENT_SOURCE_DIR}/src/op.cc" "${CMAKE_CURRENT_SOURCE_DIR}/src/op.cu")
add_op_library(_ops FILE tfwheel_ops/_ops.so SOURCES ${sources})
configure_file(cmake/_build_info.py.in _build_info.py @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/_build_info.py" DESTINATION tfwheel_ops)
"""
OPS_TEST = """\
import tfwheel_ops


def test_the_stand_in() -> None:
    assert tfwheel_ops.selftest("/CPU:0")[0]["passed"]
"""


@dataclass(frozen=True, kw_only=True)
class Factory:
    """Settings, dist and cache of one's own, for one target with GPU code."""

    paths: Paths
    target: str

    @property
    def ops(self) -> str:
        return "ops-tf2.99.0-cu12"

    def build(self, image: str | None = IMAGE) -> records.Record:
        return ops_in_container.build(self.target, image=image, paths=self.paths)

    def write(self, name: str, text: str) -> None:
        path = self.paths.settings / "ops" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def official(tag: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stand-in for the official wheel of TensorFlow 2.99.0."""
    folder = tmp_path_factory.mktemp("official")
    members = {
        "tensorflow/__init__.py": (DATA / "fake_tensorflow.py").read_text().replace("2.20.0", "2.99.0").encode(),
        "tensorflow/include/tensorflow/core/op.h": b"#define FROM_THE_HEADER 1\n",
        fakewheels.FRAMEWORK: fakewheels.framework(folder / "build").read_bytes(),
    }
    tags = f"{tag}-{tag}-{fakewheels.MANYLINUX}"
    extra = "Requires-Dist: numpy\n"
    return fakewheels.write_wheel(folder, members, name="tensorflow", version="2.99.0", tag=tags, extra=extra).parent


@pytest.fixture
def factory(tag: str, official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Factory:
    """The real custom-op project around a stand-in op; the official wheel is where pip is told to look."""
    python = f"3.{tag.removeprefix('cp3')}"
    try:
        interpreters.find(python)
    except InterpreterMissingError as error:
        pytest.skip(f"{error.message}: run `uv python install {python}`")
    scripts = Path(sys.executable).parent  # cibuildwheel is there
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{os.environ.get('PIP_FIND_LINKS', '')} {official}")
    paths = Paths(settings=tmp_path / "settings", dist=tmp_path / "dist", cache=tmp_path / "cache")
    paths.settings.mkdir()
    paths.cache.mkdir()
    toolchains = user_cache_path("tfwheel") / "toolchains"
    toolchains.mkdir(parents=True, exist_ok=True)
    (paths.cache / "toolchains").symlink_to(toolchains)  # the parts of CUDA are the real ones, fetched once
    release = (
        f'[[release]]\ntensorflow = "2.99.0"\nbuild = 1\npythons = ["{python}"]\nlines = ["cu12"]\nbuilder = "ops"\n'
    )
    (paths.settings / "targets.toml").write_text(release)
    shutil.copy(CONFIG_DIR / "lines.toml", paths.settings)
    (paths.settings / "repair.toml").write_text(REPAIR_TOML)
    shutil.copytree(CONFIG_DIR / "ops", paths.settings / "ops", ignore=shutil.ignore_patterns(*digests.IGNORED))
    made = Factory(paths=paths, target=f"tf2.99.0-{tag}-cu12")
    for name in ("src", "tests", "tfwheel_ops"):
        shutil.rmtree(paths.settings / "ops" / name)
    shutil.copytree(DATA / "fake_ops" / "tfwheel_ops", paths.settings / "ops" / "tfwheel_ops")
    made.write("CMakeLists.txt", CMAKE)
    made.write("src/op.cc", (DATA / "fake_ops" / "op.cc").read_text())
    made.write("src/op.cu", "__global__ void twice(float *x) { x[threadIdx.x] *= 2; }\n")
    made.write("tests/test_standin.py", OPS_TEST)
    settings = build_config.load(paths.settings)
    pins.update(settings, plan.targets(settings), paths.cache)
    return made


@pytest.fixture
def ours(factory: Factory, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildImage]:
    """The image of this repository, on the base that is here; the project names that base."""
    wanted = BuildImage(dockerfile=tmp_path / "ops.Dockerfile")
    base = BuildImage(dockerfile=ops_in_container.DOCKERFILE).base
    pyproject = factory.paths.settings / "ops" / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace(base, IMAGE))
    text = ops_in_container.DOCKERFILE.read_text().replace(base, IMAGE)
    wanted.dockerfile.write_text(text.replace("RUN dnf", f"{DNF}RUN dnf"))
    monkeypatch.setattr(ops_in_container, "DOCKERFILE", wanted.dockerfile)
    yield wanted
    containers.ask([engine, "rmi", "--force", wanted.image])


def test_the_container_makes_what_the_native_build_makes(
    factory: Factory, ours: BuildImage, capfd: pytest.CaptureFixture[str]
) -> None:
    native = pipeline.build(factory.target, paths=factory.paths)
    before = digests.of_tree(factory.paths.wheels)
    record = factory.build(image=None)
    assert record.passed_smoke
    assert record.target == factory.ops
    assert record.gates.keys() == native.gates.keys()
    assert record.gpu_code == native.gpu_code
    assert record.gates["arch"] == native.gates["arch"]
    assert record.repair is not None
    assert record.repair["excluded"] == ["libtensorflow_framework.so.2"]  # as repair.toml has it
    assert record.repair["grafted"] == []
    assert record.repair["policy"].startswith("manylinux_2_")
    assert record.repair["policy"] in record.file
    assert record.tools["container image"].startswith(f"{ours.image} (")
    assert record.tools["device compiler"].startswith("clang ")
    assert {"auditwheel", "cibuildwheel", "cmake", "host compiler", "ninja", "patchelf"} <= record.tools.keys()
    assert all(record.tools.values())

    wheel = factory.paths.dist / "container" / "wheels" / factory.ops / record.file
    assert files.sha256_of(wheel) == record.sha256
    theirs = factory.paths.wheels / factory.ops / native.file
    assert fakewheels.members_of(wheel).keys() == fakewheels.members_of(theirs).keys()
    assert digests.of_tree(factory.paths.wheels) == before  # nothing of the native build was touched

    capfd.readouterr()
    assert factory.build(image=None) == record
    assert "unchanged" in capfd.readouterr().err


def test_a_compile_error_inside_shows_the_compilers_words(factory: Factory) -> None:
    factory.write("src/op.cc", "int broken( { return 1; }\n")
    with pytest.raises(CompileError, match=r"op\.cc:1:\d+: error:"):
        factory.build()
    assert not list(factory.paths.dist.rglob("*.whl"))


def test_a_failure_of_another_step_says_which_and_shows_its_end(factory: Factory) -> None:
    factory.write("tests/test_standin.py", "def test_it() -> None:\n    assert 'so' == 'not so'\n")
    with pytest.raises(ContainerBuildError, match="Testing wheel failed in a container") as caught:
        factory.build()
    assert "test_standin.py::test_it" in caught.value.message
    assert f"{factory.target}.container.log" in caught.value.message
    assert not list(factory.paths.dist.rglob("*.whl"))


def test_a_wheel_without_the_gpu_code_of_its_line_is_refused(
    factory: Factory, capfd: pytest.CaptureFixture[str]
) -> None:
    factory.write("CMakeLists.txt", CMAKE.replace(' "${CMAKE_CURRENT_SOURCE_DIR}/src/op.cu"', ""))
    with pytest.raises(ArchGateError, match="no GPU code in"):
        factory.build()
    assert f"there is no native build of {factory.ops} to compare with" in capfd.readouterr().err
    assert not list(factory.paths.dist.rglob("*.whl"))


def test_an_image_that_is_nowhere_is_named_with_the_engines_words(engine: str) -> None:
    with pytest.raises(ContainerImageError, match=r"has no image `localhost:1/nowhere` and cannot pull it: .+"):
        containers.find_place(engine, "localhost:1/nowhere")


def test_what_a_killed_run_left_is_removed(engine: str, tag: str) -> None:
    assert tag
    owner = "/a/killed/run"
    label = f"{containers.LABEL}={owner}"
    left = run([engine, "create", f"--label={label}", IMAGE]).strip()
    with containers.swept(engine, owner):
        with pytest.raises(CommandError):
            run([engine, "container", "inspect", left])
        left = run([engine, "create", f"--label={label}", IMAGE]).strip()
    with pytest.raises(CommandError):
        run([engine, "container", "inspect", left])


# --- engines that do not work ----------------------------------------------------------------------------


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_an_engine_that_does_not_answer_is_passed_over_or_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "docker", "echo Client: 1.0; echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(ContainerEngineError, match="docker does not work: Cannot connect to the Docker daemon"):
        containers.find_engine()
    program(tmp_path, "podman", "exit 0")
    assert containers.find_engine() == "podman"
    with pytest.raises(ContainerEngineError, match="docker does not work"):
        containers.find_engine("docker")


def test_an_engine_that_cannot_start_a_container_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(
        tmp_path,
        "podman",
        'if [ "$1" = run ]; then echo "Error: crun: setrlimit: Operation not permitted"; exit 126; fi',
    )
    with pytest.raises(
        ContainerEngineError, match="cannot start a container of `some`: Error: crun: setrlimit"
    ) as caught:
        containers.find_place("podman", "some")
    assert "podman run --rm some /bin/true" in caught.value.remedy
