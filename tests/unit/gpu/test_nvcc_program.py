"""The commands that a call of nvcc becomes, without running them; run in tests/integration/build/test_nvcc.py."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tfwheel.gpu import nvcc_program
from tfwheel.gpu.nvcc_options import NvccError, understand
from tfwheel.gpu.nvcc_program import Tools

TOOLS = Tools(top=Path("/cuda tree"), clang="/usr/bin/clang++-19", version="12.5.82")


def made(line: str) -> list[list[str]]:
    return nvcc_program.commands(understand(line.split(), archs=["80"]), TOOLS, Path("/scratch"))


def test_a_source_for_gpus_is_compiled_as_cuda_with_the_tree() -> None:
    (command,) = made(
        "-c a.cu -o a.o -gencode arch=compute_75,code=sm_75 -gencode arch=compute_90,code=[sm_90,compute_90]"
    )
    assert command == [
        *("/usr/bin/clang++-19", "-Qunused-arguments", "-x", "cuda", "--cuda-path=/cuda tree"),
        *("-Wno-unknown-cuda-version", "--cuda-gpu-arch=sm_75", "--cuda-gpu-arch=sm_90"),
        *("--no-cuda-include-ptx=all", "--cuda-include-ptx=sm_90", "-Xarch_device", "-O3", "-c", "a.cu", "-o", "a.o"),
    ]


def test_ptx_alone_leaves_the_machine_code_out() -> None:
    (command,) = made("-c a.cu -arch=compute_90")
    assert "--cuda-gpu-arch=sm_90" in command
    assert command[command.index("-Xcuda-fatbinary") + 1] == "--omit=90"


def test_only_debugging_leaves_gpu_code_unoptimised() -> None:
    assert "-O3" in made("-c a.cu -O0")[0]
    assert "-O3" not in made("-c a.cu -G")[0]


def test_a_source_for_the_cpu_finds_the_headers_of_cuda() -> None:
    (command,) = made("-c a.cc -G -O2")
    assert command == [
        *(TOOLS.clang, "-Qunused-arguments", "-isystem", "/cuda tree/include"),
        "-O2",
        "-c",
        "a.cc",
        "-o",
        "a.o",
    ]
    assert made("-c -x cu a.cc")[0][2:4] == ["-x", "cuda"]
    assert made("-c -x c++ a.cu")[0][2:4] == ["-x", "c++"]


@pytest.mark.parametrize(
    ("line", "output"),
    [("-c d/a.cu", "a.o"), ("-ptx a.cu", "a.ptx"), ("-cubin d/a.b.cu", "a.b.cubin"), ("-c a.cu -o x/y", "x/y")],
)
def test_the_output_is_named_after_the_source(line: str, output: str) -> None:
    assert made(line)[0][-2:] == ["-o", output]


def test_linking_compiles_first_and_takes_the_host_compiler() -> None:
    compiled, link = made("-shared a.cu b.o -o lib.so -ccbin /usr/bin/g++ -lfoo")
    assert compiled[-2:] == ["-o", "/scratch/0.o"]
    assert link == [
        *("/usr/bin/g++", "-shared", "-o", "lib.so", "/scratch/0.o", "b.o", "-lfoo", "-L/cuda tree/lib64"),
        *("-lcudadevrt", "-lcudart_static", "-lrt", "-lpthread", "-ldl"),
    ]
    assert made("b.o")[0][:3] == [TOOLS.clang, "-o", "a.out"]
    assert "-lcudart" in made("b.o -cudart shared")[0]
    assert not [word for word in made("b.o --cudart=none")[0] if "cuda" in word and "tree" not in word]
    assert made("-lib a.cu b.o -o lib.a")[1] == ["ar", "rcs", "lib.a", "/scratch/0.o", "b.o"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("__cmake_determine_cuda", "Don't know what to do with '__cmake_determine_cuda'"),
        ("-c a.cu b.ptx", "Don't know what to do with 'b.ptx'"),
        ("", "No input files specified"),
        ("-c a.o", "No input files specified"),
        ("-c a.cu b.cu -o c.o", "a single input file is required"),
    ],
)
def test_inputs_that_make_no_sense_are_named(line: str, complaint: str) -> None:
    with pytest.raises(NvccError, match=re.escape(complaint)):
        made(line)


def test_cmake_learns_the_command_line_from_macros_in_its_own_source_alone() -> None:
    assert {"-D__NVCC__", "-D__CUDACC_VER_MAJOR__=12", "-D__CUDACC_VER_BUILD__=82"} <= set(
        made("d/CMakeCUDACompilerId.cu")[0]
    )
    assert not [word for word in made("-c a.cu")[0] if "NVCC" in word]


def test_cmake_finds_the_link_line_by_the_libraries() -> None:
    """As CMakeNVCCParseImplicitInfo.cmake searches in what ``-v`` prints."""
    call = understand(["a.cu"], archs=["80", "90"])
    facts = dict(fact.split("=", 1) for fact in nvcc_program.facts(call, TOOLS))
    link = nvcc_program.shown(nvcc_program.commands(call, TOOLS, Path("/scratch"))[-1])
    assert facts["LIBRARIES"] in link
    assert shlex.split(facts["LIBRARIES"]) == ["-L/cuda tree/lib64"]
    assert shlex.split(facts["INCLUDES"]) == ["-I/cuda tree/include"]
    assert facts["TOP"] == "/cuda tree"
    assert facts["NVVMIR_LIBRARY_DIR"] == "/cuda tree/nvvm/libdevice"
    assert re.findall(r"-arch compute_([0-9]+)", facts["ARCHITECTURES"]) == ["80", "90"]


def test_without_a_clang_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NvccError, match=r"there is no /opt/clang\+\+-99: set OPS_DEVICE_COMPILER"):
        nvcc_program.clang({"OPS_DEVICE_COMPILER": "/opt/clang++-99"})
    with pytest.raises(NvccError, match=r"there is no clang\+\+-19"):
        nvcc_program.clang({"OPS_DEVICE_COMPILER": "/opt/cuda/bin/nvcc"})
