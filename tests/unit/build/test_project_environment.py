"""What a project with its own build gets to know, on lines with and without GPU code."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tfwheel.build.compilers import Compiler
from tfwheel.build.project_environment import cmake_archs, variables
from tfwheel.build.toolchain import Toolchain
from tfwheel.config.targets import Line, Target

CPU = Line(name="cpu", label="cpu", base="tensorflow-cpu")
CU12 = Line(name="cu12", label="cu125", base="tensorflow", cuda="12.5.1", archs=("75", "90"), ptx="90")
TARGET = Target(tensorflow="2.20.0", python="3.12", line=CU12, build=3)
SDK = Path("/cache/sdks/a b")
GXX = Compiler(path=Path("/nowhere/g++"), version="g++ 12")
CLANG = Toolchain(
    kind="clang",
    host=GXX,
    device=Compiler(path=Path("/usr/bin/clang++-19"), version="clang 19"),
    cuda_root=Path("/cache/cuda"),
    reason="",
)
NO_CUDA = Toolchain(kind="none", host=GXX, reason="")
PROGRAMS = str(Path(sys.executable).parent)


def test_a_line_with_gpu_code_names_the_nvcc_of_the_tree_and_the_clang_behind_it() -> None:
    found = variables(target=TARGET, sdk=SDK, chain=CLANG, path="/bin")
    assert found == {
        "CUDAARCHS": "75-real;90",
        "CUDACXX": "/cache/cuda/bin/nvcc",
        "CUDAHOSTCXX": "/nowhere/g++",
        "CUDA_HOME": "/cache/cuda",
        "CUDA_PATH": "/cache/cuda",
        "CUDAToolkit_ROOT": "/cache/cuda",
        "CXX": "/nowhere/g++",
        "LC_ALL": "C.UTF-8",
        "OPS_CUDA_ARCHS": "75;90",
        "OPS_CUDA_PATH": "/cache/cuda",
        "OPS_DEVICE_COMPILER": "/usr/bin/clang++-19",
        "OPS_GPU": "ON",
        "OPS_PTX": "90",
        "PATH": f"{PROGRAMS}:/cache/cuda/bin:/bin",
        "SOURCE_DATE_EPOCH": "1577836800",
        "TENSORFLOW_ROOT": "/cache/sdks/a b/tensorflow",
        "TENSORFLOW_SDK": "/cache/sdks/a b",
        "TENSORFLOW_VERSION": "2.20.0",
        "TFWHEEL_OPS_VERSION": "2.20.0+cu125.3",
        "TF_CFLAGS": "'-I/cache/sdks/a b/tensorflow/include' -D_GLIBCXX_USE_CXX11_ABI=1 --std=c++17 "
        "-DEIGEN_MAX_ALIGN_BYTES=64",
        "TF_LFLAGS": "'-L/cache/sdks/a b/tensorflow' -l:libtensorflow_framework.so.2",
    }
    assert shlex.split(found["TF_CFLAGS"])[0] == "-I/cache/sdks/a b/tensorflow/include"


def test_a_line_without_gpu_code_says_nothing_of_cuda() -> None:
    found = variables(target=replace(TARGET, line=CPU), sdk=SDK, chain=NO_CUDA, path="")
    assert {name: found[name] for name in found if "CUDA" in name} == {"OPS_CUDA_ARCHS": ""}
    assert found["OPS_GPU"] == "OFF"
    assert found["PATH"] == PROGRAMS


def test_an_nvcc_of_the_machine_is_the_compiler_itself() -> None:
    nvcc = Compiler(path=Path("/usr/local/bin/nvcc"), version="nvcc 12.8.93")
    chain = replace(CLANG, kind="nvcc", device=nvcc, cuda_root=Path("/opt/cuda"))
    found = variables(target=TARGET, sdk=SDK, chain=chain, path="")
    assert (found["CUDACXX"], found["CUDA_HOME"]) == ("/usr/local/bin/nvcc", "/opt/cuda")


@pytest.mark.parametrize(("cxx", "cc"), [("g++", "gcc"), ("x86_64-linux-gnu-g++-13", "x86_64-linux-gnu-gcc-13")])
def test_the_c_compiler_is_the_one_beside(tmp_path: Path, cxx: str, cc: str) -> None:
    chain = replace(NO_CUDA, host=replace(GXX, path=tmp_path / cxx))
    assert "CC" not in variables(target=TARGET, sdk=SDK, chain=chain, path="")
    (tmp_path / cc).touch()
    assert variables(target=TARGET, sdk=SDK, chain=chain, path="")["CC"] == str(tmp_path / cc)
    unknown = replace(NO_CUDA, host=replace(GXX, path=tmp_path / "icpx"))
    assert "CC" not in variables(target=TARGET, sdk=SDK, chain=unknown, path="")


def test_ccache_asks_our_nvcc_which_clang_is_behind_it() -> None:
    chain = replace(CLANG, launcher=Path("/usr/bin/ccache"))
    assert variables(target=TARGET, sdk=SDK, chain=chain, path="")["CCACHE_COMPILERCHECK"] == "%compiler% --version"


@pytest.mark.parametrize(
    ("archs", "ptx", "expected"),
    [
        (("75", "90"), "90", "75-real;90"),
        (("75",), None, "75-real"),
        (("75",), "90", "75-real;90-virtual"),
        ((), None, ""),
    ],
)
def test_architectures_are_said_for_cmake(archs: tuple[str, ...], ptx: str | None, expected: str) -> None:
    assert cmake_archs(replace(CU12, archs=archs, ptx=ptx)) == expected
