"""Our nvcc at work: a real clang behind it, real CMake and make before it, real GPU code in what comes out."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from platformdirs import user_cache_path

import fakewheels
import needs
from tfwheel.build import compilers, cuda_tree, project_environment
from tfwheel.build.errors import NoCompilerError
from tfwheel.build.toolchain import Toolchain
from tfwheel.config import build_config
from tfwheel.config.targets import Target
from tfwheel.gpu import elf, fatbin
from tfwheel.system import pip
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD_CMAKE = "cmake==3.26.4"
RUNTIME = ("__cudaRegisterFatBinary", "__cudaRegisterFatBinaryEnd", "__cudaRegisterFunction", "cudaLaunchKernel")
RUNTIME += ("__cudaUnregisterFatBinary", "__cudaPushCallConfiguration", "__cudaPopCallConfiguration")
KERNEL = """
#include "factor.h"
constexpr float half(float x) { return x / 2; }
__global__ void scale(float* x) {
#if __CUDA_ARCH__ >= 800
  x[1] = NEWER;
#endif
  x[0] = half(x[0]) / x[2] * FACTOR + x[3];
}
void Scale(float* x) { scale<<<1, 32>>>(x); }
"""
HOST = """
#include <cuda_runtime_api.h>
void Scale(float* x);
extern "C" cudaError_t run(float* x) { Scale(x); return cudaGetLastError(); }
"""
CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(scale LANGUAGES CXX CUDA)
find_package(CUDAToolkit REQUIRED)
if(NOT CUDAToolkit_VERSION VERSION_EQUAL "12.5.82" OR NOT CMAKE_CUDA_COMPILER_ID STREQUAL "NVIDIA")
  message(FATAL_ERROR "${CUDAToolkit_VERSION}, ${CMAKE_CUDA_COMPILER_ID}")
endif()
add_library(scale SHARED "sources/sc ale.cu" sources/host.cc)
target_compile_options(scale PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr -Xptxas=-v>)
target_include_directories(scale PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
add_library(alone SHARED "sources/sc ale.cu" sources/host.cc)
target_link_libraries(alone PRIVATE CUDA::cudart)
target_link_directories(scale PRIVATE "$ENV{TENSORFLOW_ROOT}")
target_link_libraries(scale PRIVATE tensorflow_framework)
"""
MAKEFILE = """
GENCODE = $(foreach arch,75 80,-gencode arch=compute_$(arch),code=sm_$(arch))
RELEASE := $(shell nvcc --version | grep "release" | sed 's/.*release //' | sed 's/,.*//')
libscale.so: scale.o host.o
\tnvcc -shared -ccbin $(CXX) $^ -o $@ $(TF_LFLAGS)
scale.o: sources/sc\\ ale.cu
\tnvcc $(TF_CFLAGS) -DRELEASE=$(RELEASE) $(GENCODE) -x cu -O2 -Xcompiler "-fPIC" --use_fast_math -c "$<" -o $@
host.o: sources/host.cc
\t$(CXX) $(TF_CFLAGS) -I$(CUDA_HOME)/include -fPIC -c $< -o $@
"""


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a project on the line cu12, with clang, and with a stand-in for TensorFlow."""
    try:
        clang = compilers.clang()
    except NoCompilerError as error:
        pytest.skip(str(error))
    line = build_config.load().lines["cu12"]
    tree = cuda_tree.make(line, user_cache_path("tfwheel"))
    chain = Toolchain(kind="clang", host=compilers.host(), device=clang, cuda_root=tree, reason="")
    sdk = tmp_path_factory.mktemp("a sdk")
    (sdk / "tensorflow" / "include").mkdir(parents=True)
    functions = (*RUNTIME, "cudaGetLastError")
    stubs = "".join(f"void {name}(void) {{}}\n" for name in functions)
    framework = sdk / "tensorflow" / "libtensorflow_framework.so.2"
    fakewheels.compile_library(framework, stubs, f"-Wl,-soname,{framework.name}")
    framework.with_suffix("").symlink_to(framework.name)
    target = Target(tensorflow="2.20.0", python="3.12", line=line, build=1)
    return project_environment.variables(target=target, sdk=sdk, chain=chain, path=os.environ["PATH"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a space in its name, whose sources are the ones above."""
    folder = tmp_path / "a project"
    (folder / "sources").mkdir(parents=True)
    (folder / "sources" / "sc ale.cu").write_text(KERNEL)
    (folder / "sources" / "host.cc").write_text(HOST)
    (folder / "sources" / "factor.h").write_text("#define FACTOR 3\n#define NEWER 1\n")
    return folder


def nvcc(variables: Mapping[str, str], folder: Path, *words: str | Path, program: str = "") -> str:
    """Run our nvcc in a folder; return what it says."""
    done = subprocess.run(
        [program or variables["CUDACXX"], *words],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"exit code {done.returncode}"
        raise CommandError(message, output=done.stdout + done.stderr)
    return done.stdout + done.stderr


def needed(library: Path) -> tuple[str, ...]:
    """The libraries that a library needs."""
    with library.open("rb") as stream:
        return tuple(elf.dynamic(stream).needed)


def test_it_says_which_compiler_it_has(variables: dict[str, str], tmp_path: Path) -> None:
    link = tmp_path / "nvcc"
    link.symlink_to(variables["CUDACXX"])
    said = nvcc(variables, tmp_path, "--version", program=str(link)).splitlines()
    assert f"Compiled by clang: {variables['OPS_DEVICE_COMPILER']} (" in said[1]
    assert said[2] == "Compiled for, unless options name architectures: sm_75 sm_80 sm_89 sm_90 compute_90"
    assert said[-1] == "Cuda compilation tools, release 12.5, V12.5.82"
    found, notes = compilers.Compiler(path=link, version=""), said
    assert compilers.cuda_root(found.path) == Path(variables["CUDA_HOME"]).resolve()
    assert notes[0].startswith("nvcc: ")


def test_the_options_of_real_projects_compile(variables: dict[str, str], project: Path) -> None:
    (project / "o.txt").write_text("-DFROM_FILE\n-Isources\n")
    words = ["-x", "cu", "-std=c++17", "-O1", "-DA=1", "-U", "B", "-isystem", "sources", "--expt-relaxed-constexpr"]
    words += ["--expt-extended-lambda", "--threads", "2", "-Xptxas=-v", "-lineinfo", "-g", "-diag-suppress", "20012"]
    words += ["-gencode", "arch=compute_75,code=[sm_75,compute_75]", "--generate-code=arch=compute_90,code=compute_90"]
    words += ["-forward-unknown-to-host-compiler", "-fPIC", "-Xcompiler=-Wall,-Wextra", "--options-file", "o.txt"]
    words += ["-MD", "-MT", "an object", "-MF", "deps.d", "-Werror", "all-warnings", "-maxrregcount=64", "-ccbin=g++"]
    said = nvcc(variables, project, *words, "-c", "sources/sc ale.cu", "-o", "build ed.o")
    assert fatbin.archs_of(project / "build ed.o") == ("sm_75", "compute_75", "compute_90")
    assert "ptxas info" in said
    assert "sources/factor.h" in (project / "deps.d").read_text()


def test_options_change_the_gpu_code_as_they_say(variables: dict[str, str], project: Path) -> None:
    def ptx(*words: str) -> str:
        nvcc(variables, project, "-ptx", "-arch=sm_75", *words, "sources/sc ale.cu", "-o", "out.ptx")
        return (project / "out.ptx").read_text()

    assert "div.rn.f32" in (plain := ptx())
    assert "fma.rn.f32" in plain
    assert "div.approx.ftz.f32" in ptx("--use_fast_math")
    assert "div.full.f32" in ptx("-prec-div=false")
    assert "fma.rn.f32" not in ptx("-fmad=false")
    assert "add.rn.ftz.f32" in ptx("-ftz=true", "-fmad=false") or "add.ftz.f32" in ptx("-ftz=true", "-fmad=false")
    assert ".target sm_75, debug" in ptx("-G")


def test_preprocessing_shows_what_each_architecture_sees(variables: dict[str, str], project: Path) -> None:
    (project / "sources" / "factor.h").write_text("#define FACTOR 3\n#define NEWER 12345\n")
    both = ["-gencode", "arch=compute_75,code=sm_75", "-gencode", "arch=compute_80,code=sm_80"]
    nvcc(variables, project, *both, "-E", "sources/sc ale.cu", "-o", "out.ii")
    assert (project / "out.ii").read_text().count("x[1] = 12345;") == 1
    rules = nvcc(variables, project, *both, "-M", "-MT", "it", "sources/sc ale.cu")
    assert rules.startswith("it:")
    assert "sources/factor.h" in rules


def test_an_error_of_the_source_and_one_of_the_command_line_are_told_apart(
    variables: dict[str, str], project: Path
) -> None:
    (project / "wrong.cu").write_text("__global__ void k() { no_such_name(); }\n")
    with pytest.raises(CommandError) as caught:
        nvcc(variables, project, "-arch=sm_75", "-c", "wrong.cu")
    assert "no_such_name" in caught.value.output
    with pytest.raises(CommandError) as caught:
        nvcc(variables, project, "-rdc=true", "-c", "wrong.cu")
    assert "nvcc fatal   : '-rdc true' is not supported" in caught.value.output
    with pytest.raises(CommandError) as caught:
        nvcc(variables, project, "-Xcompiler", "-no-such-flag", "-c", "wrong.cu")
    assert "-no-such-flag" in caught.value.output
    assert sorted(path.name for path in project.iterdir()) == ["sources", "wrong.cu"]


@pytest.mark.parametrize(
    ("generator", "requirement"), [("Ninja", ""), ("Ninja", OLD_CMAKE), ("Unix Makefiles", "")], ids=str
)
def test_a_project_of_cmake_with_the_language_cuda(
    variables: dict[str, str], project: Path, tmp_path: Path, generator: str, requirement: str
) -> None:
    needs.programs("make")
    (project / "CMakeLists.txt").write_text(CMAKE)
    cmake: str | Path = "cmake"
    if requirement:
        pip.install_parts([requirement], tmp_path / "old")
        cmake = tmp_path / "old/cmake/data/bin/cmake"
    run([cmake, "-S", project, "-B", project / "build", "-G", generator], env=variables)
    run([cmake, "--build", project / "build"], env=variables)
    library, alone = project / "build" / "libscale.so", project / "build" / "libalone.so"
    assert fatbin.archs_of(library) == ("sm_75", "sm_80", "sm_89", "sm_90", "compute_90")
    assert "libtensorflow_framework.so.2" in needed(library)
    assert not [name for name in needed(library) if "cuda" in name]
    assert "libcudart.so.12" in needed(alone)


def test_a_project_of_make(variables: dict[str, str], project: Path) -> None:
    (make,) = needs.programs("make")
    (project / "Makefile").write_text(MAKEFILE)
    run([make, "-C", project], env=variables)
    assert fatbin.archs_of(project / "libscale.so") == ("sm_75", "sm_80")
    assert not [name for name in needed(project / "libscale.so") if "cuda" in name]


def test_without_tensorflow_the_shared_runtime_is_linked(variables: dict[str, str], project: Path) -> None:
    (project / "main.cu").write_text("__global__ void k() {}\nint main() { k<<<1, 1>>>(); return 3; }\n")
    nvcc(variables, project, "-arch=sm_75", "main.cu", "-o", "program")
    libraries = {"LD_LIBRARY_PATH": f"{variables['CUDA_HOME']}/lib64"}
    assert needed(project / "program").count("libcudart.so.12") == 1
    assert subprocess.run([project / "program"], env=libraries, check=False).returncode == 3


def test_ccache_takes_what_it_has_and_sees_what_only_gpus_see(
    variables: dict[str, str], project: Path, tmp_path: Path
) -> None:
    (ccache,) = needs.programs("ccache")
    kept = {**variables, "CCACHE_DIR": str(tmp_path / "kept"), "CCACHE_COMPILERCHECK": "%compiler% --version"}

    def compiled(newer: int) -> bytes:
        (project / "sources" / "factor.h").write_text(f"#define FACTOR 3\n#define NEWER {newer}\n")
        os.utime(project / "sources" / "factor.h", (time.time() - 60,) * 2)
        words = ["-gencode", "arch=compute_80,code=sm_80", "-c", "sources/sc ale.cu", "-o", "out.o"]
        nvcc(kept, project, variables["CUDACXX"], *words, program=ccache)
        return (project / "out.o").read_bytes()

    first, second = compiled(1), compiled(2)
    assert first != second
    assert compiled(1) == first
    statistics = dict(line.split("\t") for line in nvcc(kept, project, "--print-stats", program=ccache).splitlines())
    assert int(statistics["cache_miss"]) == 2
    assert int(statistics["direct_cache_hit"]) + int(statistics["preprocessed_cache_hit"]) == 1


def test_ccache_sees_that_the_architectures_of_a_line_change(
    variables: dict[str, str], project: Path, tmp_path: Path
) -> None:
    (ccache,) = needs.programs("ccache")
    kept = {**variables, "CCACHE_DIR": str(tmp_path / "kept"), "CCACHE_COMPILERCHECK": "%compiler% --version"}

    def compiled(archs: str, ptx: str, **more: str) -> tuple[str, ...]:
        words = [variables["CUDACXX"], "-c", "sources/sc ale.cu", "-o", "out.o"]
        nvcc({**kept, "OPS_CUDA_ARCHS": archs, "OPS_PTX": ptx, **more}, project, *words, program=ccache)
        return fatbin.archs_of(project / "out.o")

    os.utime(project / "sources" / "factor.h", (time.time() - 60,) * 2)
    os.utime(project / "sources" / "sc ale.cu", (time.time() - 60,) * 2)
    assert compiled("75", "") == ("sm_75",)
    assert compiled("75;80", "") == ("sm_75", "sm_80")
    assert compiled("75;80", "80") == ("sm_75", "sm_80", "compute_80")
    assert compiled("75", "", NVCC_APPEND_FLAGS="-arch=compute_80") == ("compute_80",)
    assert compiled("75", "") == ("sm_75",)
    statistics = dict(line.split("\t") for line in nvcc(kept, project, "--print-stats", program=ccache).splitlines())
    assert int(statistics["cache_miss"]) == 4
    assert int(statistics["direct_cache_hit"]) + int(statistics["preprocessed_cache_hit"]) == 1
