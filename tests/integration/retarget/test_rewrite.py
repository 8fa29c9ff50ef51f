"""The real thing, small: clang's CUDA code in a real library, NVIDIA's ptxas, libnvfatbin and cuobjdump."""

from __future__ import annotations

import ctypes
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from platformdirs import user_cache_path

from tfwheel.build import compilers, cuda_tree
from tfwheel.build.errors import NoCompilerError
from tfwheel.config import build_config
from tfwheel.config.schema import Retarget
from tfwheel.gpu import fatbin
from tfwheel.gpu.errors import FatbinError, ToolchainError
from tfwheel.gpu.fatbinary_program import FatbinWriter
from tfwheel.retarget import gpu_image, ptxas
from tfwheel.retarget.errors import PtxError, UnknownArchError
from tfwheel.retarget.ptxas import PtxModule
from tfwheel.retarget.rewrite import Report, retarget_library
from tfwheel.system import pip
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path

CUOBJDUMP = "nvidia-cuda-cuobjdump==13.5.37"
# Two programs of their own: the first has kernels with bodies worth assembling, the second a wrapper of its own.
KERNELS = """
template <typename T> __global__ void NAME(const T* x, T* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  for (int k = 0; k < n; k++) y[i] += T(2) * x[i + k];
}
extern "C" void launch_NAME(cudaStream_t stream, const float* a, float* b, const int* c, int* d, int n) {
  NAME<<<1, 256, 0, stream>>>(a, b, n);
  NAME<<<1, 256, 0, stream>>>(c, d, n);
}
"""
# What a program without the CUDA runtime needs to be loaded; it is never launched.
STUBS = """
extern "C" {
void** __cudaRegisterFatBinary(void*) { static void* handle; return &handle; }
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char*, char*, const char*, int, void*, void*, void*, void*, int*) {}
int __cudaPushCallConfiguration() { return 0; }
int __cudaPopCallConfiguration() { return 0; }
int cudaLaunchKernel() { return 0; }
extern const unsigned char generated[];
const unsigned char* where() { return generated; }
int answer() { return 42; }
}
"""
TIED = """
.version 8.5
.target sm_90a
.address_size 64
.visible .entry generated_add(.param .u64 p) {
	.reg .b64 %d<3>; ld.param.u64 %d1, [p]; st.global.u64 [%d1], 7; ret; }
"""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What makes a library with GPU code, and what retargets it."""

    clang: Path
    tree: Path
    compiler: ptxas.PtxCompiler
    wanted: Retarget


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """The line cu12 as a build has it; what is compiled is kept for this module alone."""
    line = build_config.load().lines["cu12"]
    assert line.retarget
    try:
        clang = compilers.clang().path
    except NoCompilerError as error:
        pytest.skip(str(error))
    cache = user_cache_path("tfwheel")
    made = ptxas.prepare(line.retarget.tools, cache=cache)
    return Tools(
        clang=clang,
        tree=cuda_tree.make(line, cache),
        compiler=ptxas.PtxCompiler(
            program=made.program, nvfatbin=made.nvfatbin, packages=made.packages, cache=tmp_path_factory.mktemp("cache")
        ),
        wanted=Retarget(archs=("70", "80", "120"), generated=("70", "120"), ptx="90", tools=line.retarget.tools),
    )


def compile_kernels(tools: Tools, folder: Path, name: str) -> Path:
    """An object with machine code for five GPUs and portable code, as official libraries have it."""
    source, out = folder / f"{name}.cu", folder / f"{name}.o"
    source.write_text("#include <cuda_runtime.h>\n" + KERNELS.replace("NAME", name))
    argv = [tools.clang, "-x", "cuda", f"--cuda-path={tools.tree}", "-O2", "-fPIC", "-Wno-unknown-cuda-version"]
    argv += ["--no-cuda-include-ptx=all", "--cuda-include-ptx=sm_90"]
    argv += [f"--cuda-gpu-arch=sm_{arch}" for arch in (60, 70, 80, 89, 90)]
    run([*argv, "-c", source, "-o", out])
    return out


@pytest.fixture(scope="module")
def library(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared library with two programs of nvcc's kind and one container among its constants. Read only."""
    folder = tmp_path_factory.mktemp("library")
    objects = [compile_kernels(tools, folder, name) for name in ("scale", "shift")]
    entries = [new_machine_code(tools, TIED.replace("90a", "50"), arch) for arch in ("60", "70", "80", "89")]
    portable = FatbinWriter(tools.compiler.nvfatbin)
    portable.add_code("ptx", "90", TIED.encode())
    entries.append(portable.to_bytes()[fatbin.HEADER_SIZE :])
    blob = ", ".join(map(str, fatbin.pack(entries)))
    (folder / "stubs.cc").write_text(
        STUBS + f'extern "C" const unsigned char generated[] __attribute__((aligned(16))) = {{{blob}}};\n'
    )
    out = folder / "library.so"
    run([shutil.which("g++") or "g++", "-shared", "-fPIC", "-o", out, folder / "stubs.cc", *objects])
    return out


def new_machine_code(tools: Tools, text: str, arch: str) -> bytes:
    """An entry of machine code from text."""
    (path,) = ptxas.compile_all([module(text, arch)], tools.compiler, name="test")
    return path.read_bytes()


def module(text: str, arch: str) -> PtxModule:
    return PtxModule(name="the code at byte 64", size=len(text), arch=arch, read=text.encode)


@pytest.fixture(scope="module")
def retargeted(tools: Tools, library: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    path = tmp_path_factory.mktemp("retargeted") / "library.so"
    shutil.copyfile(library, path)
    return path, retarget_library(path, wanted=tools.wanted, compiler=tools.compiler)


def test_the_report_says_what_came_and_went(retargeted: tuple[Path, Report]) -> None:
    _, report = retargeted
    assert report.families["fatbin"].after == {"sm_70": 2, "sm_80": 2, "sm_120": 2, "compute_90": 2}
    assert report.families["generated"].after == {"sm_70": 1, "sm_120": 1, "compute_90": 1}
    assert report.families["generated"].new == {"sm_120": 1, "compute_90": 1}


def test_nvidias_own_reader_finds_it(retargeted: tuple[Path, Report], tmp_path: Path) -> None:
    path, _ = retargeted
    pip.install_parts([CUOBJDUMP], tmp_path)
    reader = next(tmp_path.glob("nvidia/*/bin/cuobjdump"))
    reader.chmod(0o755)
    listed = Counter(re.findall(r"\.(sm_\d+\w?)\.(?:cubin|ptx)", run([reader, "-lelf", "-lptx", path])))
    assert listed == {"sm_70": 2, "sm_80": 2, "sm_120": 2, "sm_90": 2}
    for number, container in enumerate(fatbin.containers(path)):
        piece = tmp_path / f"{number}.fatbin"
        data = path.read_bytes()[container.offset : container.offset + container.size]
        piece.write_bytes(data)
        assert re.findall(r"\.(sm_120)\.cubin", run([reader, "-lelf", piece])) == ["sm_120"]
        assert ".target sm_90\n" in run([reader, "-ptx", piece])


def test_the_loader_follows_the_pointers(retargeted: tuple[Path, Report]) -> None:
    path, _ = retargeted
    loaded = ctypes.CDLL(str(path))
    assert loaded.answer() == 42
    loaded.where.restype = ctypes.POINTER(ctypes.c_ubyte)
    assert bytes(loaded.where()[:4]) == fatbin.MAGIC


def test_new_code_has_the_kernels_of_the_code_it_is_made_from(retargeted: tuple[Path, Report]) -> None:
    path, _ = retargeted
    data = path.read_bytes()
    for container in fatbin.containers(path):
        plain = {entry.name: fatbin.image(entry, data[entry.offset : entry.end]) for entry in container.entries}
        kernels = set(re.findall(rb"\.entry\s+([\w$]+)", plain["compute_90"]))
        assert kernels
        assert {name for name in kernels if b".text." + name + b"\0" in plain["sm_120"]} == kernels


def test_compiling_again_gives_the_same_bytes(tools: Tools, retargeted: tuple[Path, Report], library: Path) -> None:
    path, _ = retargeted
    shutil.rmtree(tools.compiler.cache)
    again = path.with_name("again.so")
    shutil.copyfile(library, again)
    retarget_library(again, wanted=tools.wanted, compiler=tools.compiler)
    assert again.read_bytes() == path.read_bytes()


def test_new_entries_are_as_those_of_the_line_s_own_cuda(tools: Tools, library: Path) -> None:
    data = library.read_bytes()
    for entry in (one for one in fatbin.entries(library) if one.kind == "ELF"):
        code = fatbin.image(entry, data[entry.offset : entry.end])
        assert gpu_image.entry(tools.compiler.nvfatbin, code, arch=str(entry.arch)) == data[entry.header : entry.end]


def generated_text(path: Path) -> bytes:
    """The portable code among the constants."""
    (entry,) = (one for one in fatbin.entries(path) if one.section == ".rodata" and one.kind == "PTX")
    return fatbin.image(entry, path.read_bytes()[entry.offset : entry.end])


def test_portable_code_loses_its_mark_and_nothing_else(library: Path, retargeted: tuple[Path, Report]) -> None:
    before = generated_text(library)
    assert before.count(b"sm_90a") == 1
    assert generated_text(retargeted[0]) == before.replace(b"sm_90a", b"sm_90")


def test_code_for_new_gpus_has_the_attributes_that_nvidias_tools_give_it(tools: Tools) -> None:
    data = fatbin.pack([new_machine_code(tools, TIED, "120")])
    (entry,) = fatbin.parse(data).entries
    assert (entry.flags, entry.offset - entry.header) == (0x1002011, 96)


def test_text_that_ptxas_rejects_is_shown_with_its_module(tools: Tools) -> None:
    broken = TIED.replace("st.global.u64", "st.nowhere.u64")
    good = [module(TIED + f"// {number}\n", "120") for number in range(4)]
    with pytest.raises(
        PtxError, match=r"cannot compile the code at byte 64 \(kernel generated_add\) for sm_120"
    ) as caught:
        ptxas.compile_all([*good, module(broken, "120")], tools.compiler, name="test")
    assert ".nowhere" in str(caught.value)


def test_code_that_only_one_gpu_has_is_rejected_elsewhere(tools: Tools) -> None:
    text = TIED.replace("ret;", "wgmma.fence.sync.aligned; ret;")
    with pytest.raises(PtxError, match="wgmma"):
        ptxas.compile_all([module(text, "120")], tools.compiler, name="test")


def test_an_arch_that_ptxas_does_not_know(tools: Tools) -> None:
    with pytest.raises(UnknownArchError, match="does not know the arch 999"):
        ptxas.compile_all([module(TIED, "999")], tools.compiler, name="test")


def test_libnvfatbin_refuses_what_is_no_machine_code(tools: Tools) -> None:
    with pytest.raises(FatbinError, match="accepts no cubin of 8 bytes for 120"):
        gpu_image.entry(tools.compiler.nvfatbin, b"nonsense", arch="120")


def test_packages_without_ptxas_are_named(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="no bin/ptxas in there"):
        ptxas.prepare(("nvidia-nvfatbin-cu12==12.8.90",), cache=tmp_path)
    assert not list((tmp_path / "toolchains").glob("ptxas-*[!.lock]/ptxas"))
