"""What each option of nvcc is for clang, and what is refused; compiled with in tests/integration/build/test_nvcc.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.gpu import nvcc_options
from tfwheel.gpu.nvcc_options import Call, NvccError, for_host_code, listed, understand

if TYPE_CHECKING:
    from pathlib import Path


def said(line: str, *more: str) -> Call:
    return understand([*line.split(), *more], archs=("75", "90"), ptx="90")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-DA=1 -D B --define-macro C --define-macro=D=2", ["-DA=1", "-DB", "-DC", "-DD=2"]),
        ("-UA --undefine-macro B", ["-UA", "-UB"]),
        ("-Ia -I b --include-path=c", ["-Ia", "-Ib", "-Ic"]),
        ("-isystem a -isystem=b --system-include c", ["-isystem", "a", "-isystem", "b", "-isystem", "c"]),
        ("-include a.h --pre-include b.h", ["-include", "a.h", "-include", "b.h"]),
        ("-std=c++17", ["-std=c++17"]),
        ("--std c++14 -std c++11", ["-std=c++14", "-std=c++11"]),
        ("-O3 -O 2 --optimize 1", ["-O3", "-O2", "-O1"]),
        ("-Xcompiler -fPIC -Xcompiler=-Wall,-Wextra", ["-fPIC", "-Wall", "-Wextra"]),
        ('-Xcompiler ,"-fPIC","-g"', ["-fPIC", "-g"]),
        (r"--compiler-options -Wl\,-z", ["-Wl,-z"]),
        ("-Xptxas -v,-O1 --ptxas-options=-w", ["-Xcuda-ptxas", "-v", "-Xcuda-ptxas", "-O1", "-Xcuda-ptxas", "-w"]),
        ("--resource-usage", ["-Xcuda-ptxas", "-v"]),
        (
            "-maxrregcount=32 --maxrregcount 64",
            ["-Xcuda-ptxas", "-maxrregcount=32", "-Xcuda-ptxas", "-maxrregcount=64"],
        ),
        ("-MD -MT a.o -MF a.d -MP", ["-MD", "-MT", "a.o", "-MF", "a.d", "-MP"]),
        ("--generate-nonsystem-dependencies-with-compile", ["-MMD"]),
        ("-g", ["-Xarch_host", "-g"]),
        ("-G", ["-Xarch_device", "-g", "--cuda-noopt-device-debug"]),
        ("-lineinfo", ["-Xarch_device", "-gline-tables-only"]),
        ("--generate-line-info", ["-Xarch_device", "-gline-tables-only"]),
        ("-w", ["-w"]),
        ("-Werror all-warnings", ["-Werror"]),
        ("--Werror=reorder,deprecated-declarations", ["-Werror=reorder", "-Werror=deprecated-declarations"]),
        ("-fmad=false", ["-Xarch_device", "-ffp-contract=off"]),
        ("--ftz true", ["-Xarch_device", "-fgpu-flush-denormals-to-zero"]),
        ("-prec-div=false --prec-sqrt=false", ["-mllvm", "-nvptx-prec-divf32=1", "-mllvm", "-nvptx-prec-sqrtf32=0"]),
        ("--forward-unknown-to-host-compiler -fPIC -pthread", ["-fPIC", "-pthread"]),
    ],
)
def test_an_option_is_said_for_clang(line: str, words: list[str]) -> None:
    assert said(f"-c a.cu {line}").compiling == words


def test_fast_mathematics_concern_gpu_code_alone() -> None:
    words = said("--use_fast_math a.cu").compiling
    assert for_host_code(words) == ["-mllvm", "-nvptx-prec-divf32=0", "-mllvm", "-nvptx-prec-sqrtf32=0"]
    assert "-fgpu-approx-transcendentals" in words


@pytest.mark.parametrize(
    "line",
    [
        *("--expt-relaxed-constexpr", "-expt-extended-lambda", "--extended-lambda", "--threads 4", "-t0", "-t=2"),
        *("-Wno-deprecated-gpu-targets", "-diag-suppress 20012", "--diag-suppress=1,2", "-rdc=false", "-m64"),
        *("-Xcudafe --diag_suppress=1", '-Xcudafe="--display_error_number"', "--keep --keep-dir=x", "-m 64"),
        *("-allow-unsupported-compiler", "--default-stream=legacy", "-err-no", "--relocatable-device-code false"),
    ],
)
def test_what_clang_does_anyway_needs_no_word(line: str) -> None:
    call = said(f"-c a.cu {line}")
    assert call.compiling == []
    assert call.inputs == ["a.cu"]


@pytest.mark.parametrize(
    ("line", "real", "virtual"),
    [
        ("", ["75", "90"], ["90"]),
        ("-arch=sm_80", ["80"], ["80"]),
        ("-arch sm_90a", ["90a"], ["90a"]),
        ("--gpu-architecture=compute_80", [], ["80"]),
        ("-arch=compute_80 -code=sm_80", ["80"], []),
        ("-arch=sm_80 --gpu-code sm_80,compute_80", ["80"], ["80"]),
        ("-gencode arch=compute_75,code=sm_75", ["75"], []),
        ("-gencode=arch=compute_75,code=[compute_75,sm_75]", ["75"], ["75"]),
        ('--generate-code=arch=compute_75,code="sm_75,compute_75"', ["75"], ["75"]),
        ("--generate-code arch=compute_90,code=compute_90 -gencode arch=compute_80,code=sm_80", ["80"], ["90"]),
    ],
)
def test_architectures_are_those_of_the_command_line_or_else_of_the_line(
    line: str, real: list[str], virtual: list[str]
) -> None:
    call = said(f"-c a.cu {line}")
    assert (call.real, call.virtual) == (real, virtual)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("-fPIC", "Unknown option '-fPIC': what is for the host compiler goes behind -Xcompiler"),
        ("--no-such-option=3", "Unknown option '--no-such-option=3'"),
        ("-rdc=true", "'-rdc true' is not supported: relocatable device code needs nvlink"),
        ("--relocatable-device-code true", "relocatable device code needs nvlink"),
        ("-dc", "'-dc' is not supported: relocatable device code needs nvlink"),
        ("--device-link", "'--device-link' is not supported"),
        ("-dlto", "'-dlto' is not supported"),
        ("-Xnvlink -v", "'-Xnvlink' is not supported"),
        ("-fatbin", "'-fatbin' is not supported: take -c"),
        ("-arch=all", "'-arch=all' is not supported: name the architectures"),
        ("-arch=native", "'-arch=native' is not supported"),
        ("-code=sm_80", "'-code=sm_80' needs -arch"),
        ("-arch=80", "'80' from 'compute_' is not supported"),
        ("-gencode arch=compute_70,code=sm_75", "'sm_75' from 'compute_70' is not supported"),
        ("-gencode arch=compute_80,code=lto_80", "'lto_80' from 'compute_80' is not supported"),
        ("-gencode sm_80", "'-gencode sm_80' is not of the form arch=compute_80,code="),
        ("-default-stream per-thread", "'-default-stream per-thread' is not supported: -default-stream takes legacy"),
        ("-fmad=maybe", "'-fmad maybe' is not supported: -fmad takes false, true"),
        ("-m32", "'-m 32' is not supported"),
        ("-cudart=hybrid", "'-cudart hybrid' is not supported: -cudart takes none, shared, static"),
        ("-Xcudafe --c++17", "'-Xcudafe --c++17' is not supported: clang takes the place"),
        ("-ptx", "-ptx is for one architecture, and these are 75, 90: add -arch"),
        ("-arch=sm_80 -gencode arch=compute_90,code=sm_90 -cubin", "-cubin is for one architecture"),
        ("-o", "'-o' needs a value"),
        ("-optf no-such-file", "the options file 'no-such-file' cannot be read"),
    ],
)
def test_what_clang_has_no_counterpart_of_is_refused_by_name(line: str, complaint: str) -> None:
    with pytest.raises(NvccError) as caught:
        said(f"a.cu {line}")
    assert complaint in str(caught.value)


def test_an_option_is_in_one_table_alone_and_every_long_name_leads_to_one() -> None:
    tables = (
        *(nvcc_options.PHASES, nvcc_options.SWITCHES, nvcc_options.VALUES, nvcc_options.CHOICES),
        *(nvcc_options.LISTS, nvcc_options.NOTED, nvcc_options.OTHERS, nvcc_options.REFUSED, {"optf"}),
    )
    names = [name for table in tables for name in table]
    assert len(names) == len(set(names))
    assert set(nvcc_options.NAMES.values()) <= set(names)


def test_options_files_are_read_where_they_stand(tmp_path: Path) -> None:
    inner, outer = tmp_path / "in ner.txt", tmp_path / "outer.txt"
    inner.write_text('-DB "-Ia b"\n')
    outer.write_text(f'-DA\n--options-file "{inner}"\n')
    assert said("-c a.cu", "-optf", str(outer), "-DC").compiling == ["-DA", "-DB", "-Ia b", "-DC"]
    assert said("-c a.cu", f"--options-file={outer}").compiling == ["-DA", "-DB", "-Ia b"]
    outer.write_text('"')
    with pytest.raises(NvccError, match="No closing quotation"):
        said("-c a.cu", "-optf", str(outer))


def test_phases_inputs_and_the_words_for_the_linker() -> None:
    call = said("-shared a.cu b.o -o lib.so -Lx -L y,z -lfoo -l bar -Xlinker -z,now -Xcompiler -fopenmp -ccbin g++")
    assert call.phase == ""
    assert call.inputs == ["a.cu", "b.o"]
    assert call.output == "lib.so"
    assert " ".join(call.linking) == "-Lx -Ly -Lz -lfoo -lbar -Xlinker -z -Xlinker now -fopenmp"
    assert call.values["ccbin"] == "g++"
    assert said("--compile a.cu").phase == "c"
    assert said("-x cu -E a.cc").language == "cu"


def test_lists_are_split_at_commas_that_no_backslash_precedes() -> None:
    assert listed(r"a,b\,c,,\"d\"".replace('\\"', '"')) == ["a", "b,c", "d"]


def test_host_code_gets_no_word_for_gpus() -> None:
    assert for_host_code(said("-c a.cc -g -G -DX -Xptxas -v -lineinfo").compiling) == ["-g", "-DX"]
