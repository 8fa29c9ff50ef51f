"""The real thing: parts of CUDA from the package index, a real clang, NVIDIA's own reader of what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from platformdirs import user_cache_path

import needs
from tfwheel.build import compilers, cuda_tree, toolchain
from tfwheel.build.errors import NoCompilerError
from tfwheel.config import build_config
from tfwheel.gpu import elf, fatbin, fatbinary_program
from tfwheel.system import pip
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.targets import Line

CUOBJDUMP = "nvidia-cuda-cuobjdump==13.5.37"
KERNEL = """
#include <cuda_bf16.h>
#include <cuda_fp16.h>
template <typename T> __global__ void scale(const T* x, T* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = T(2.0f * float(x[i]));
}
void launch(cudaStream_t stream, const float* a, float* b, const __half* c, __half* d, const __nv_bfloat16* e,
            __nv_bfloat16* f, int n) {
  scale<<<(n + 255) / 256, 256, 0, stream>>>(a, b, n);
  scale<<<(n + 255) / 256, 256, 0, stream>>>(c, d, n);
  scale<<<(n + 255) / 256, 256, 0, stream>>>(e, f, n);
}
"""


@dataclass(frozen=True, kw_only=True)
class Clang:
    """A clang and the CUDA tree that it is given."""

    line: Line
    tree: Path
    path: Path

    def compile(self, source: Path, output: Path) -> Path:
        """Compile a kernel file for the archs of the line."""
        argv = [
            self.path,
            "-x",
            "cuda",
            f"--cuda-path={self.tree}",
            "-std=c++17",
            "-O2",
            "-fPIC",
            "-fno-crash-diagnostics",
        ]
        argv += ["-Wno-unknown-cuda-version", "--no-cuda-include-ptx=all", f"--cuda-include-ptx=sm_{self.line.ptx}"]
        argv += [f"--cuda-gpu-arch=sm_{arch}" for arch in self.line.archs]
        run([*argv, "-c", source, "-o", output])
        return output


@pytest.fixture(scope="module")
def clang() -> Clang:
    """The compilers of the line cu12 as a build on a machine without nvcc has them, and from the same cache."""
    line = build_config.load().lines["cu12"]
    try:
        path = compilers.clang().path
    except NoCompilerError as error:
        pytest.skip(str(error))
    return Clang(line=line, tree=cuda_tree.make(line, user_cache_path("tfwheel")), path=path)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("kernel") / "scale.cu"
    source.write_text(KERNEL)
    return source


@pytest.fixture(scope="module")
def compiled(clang: Clang, kernel: Path) -> Path:
    return clang.compile(kernel, kernel.with_name("scale.o"))


def test_clang_makes_code_for_every_arch_of_the_line_and_no_other(clang: Clang, compiled: Path) -> None:
    expected = (*(f"sm_{arch}" for arch in clang.line.archs), f"compute_{clang.line.ptx}")
    assert fatbin.archs_of(compiled) == expected


def test_compiling_again_gives_the_same_bytes(clang: Clang, kernel: Path, compiled: Path) -> None:
    assert clang.compile(kernel, kernel.with_name("again.o")).read_bytes() == compiled.read_bytes()


def test_nvidias_own_reader_finds_the_same_code(compiled: Path, tmp_path: Path) -> None:
    pip.install_parts([CUOBJDUMP], tmp_path)
    reader = next(tmp_path.glob("nvidia/*/bin/cuobjdump"))
    reader.chmod(0o755)
    listing = run([reader, "-lelf", "-lptx", compiled])
    assert [line.split(".")[-2] for line in listing.splitlines() if line.startswith("ELF")] == [
        entry.name for entry in fatbin.entries(compiled) if entry.kind == "ELF"
    ]
    assert [line.split(".")[-2] for line in listing.splitlines() if line.startswith("PTX")] == ["sm_90"]


def test_entries_have_the_form_of_those_in_official_tensorflow(compiled: Path) -> None:
    data = compiled.read_bytes()
    for entry in fatbin.entries(compiled):
        header = entry.offset - (64 if entry.kind == "ELF" else 80)  # larger with a name: there must be none
        assert int.from_bytes(data[header + 40 : header + 48], "little") == 0x2011, entry  # 64 bit, Linux, LZ4
        assert entry.size < entry.plain_size


def test_the_object_links_to_a_library_that_needs_no_cuda_library(clang: Clang, compiled: Path) -> None:
    library = compiled.with_name("scale.so")
    run(["g++", "-shared", compiled, "-o", library])
    assert fatbin.archs_of(library) == fatbin.archs_of(compiled)
    with library.open("rb") as stream:
        found = elf.dynamic(stream)
    assert not [name for name in found.needed if "cuda" in name]
    assert found.versions["GLIBC"]
    assert str(clang.tree).encode() not in library.read_bytes()


def test_what_ptxas_complains_about_is_seen(clang: Clang, tmp_path: Path) -> None:
    source = tmp_path / "wrong.cu"
    source.write_text('__global__ void wrong() { asm("no.such.instruction;"); }')
    with pytest.raises(CommandError, match="ptxas") as caught:
        clang.compile(source, tmp_path / "wrong.o")
    assert "Unknown modifier '.such'" in caught.value.output
    assert not (tmp_path / "wrong.o").exists()


# --- fatbinary -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cubin(clang: Clang, kernel: Path) -> Path:
    """Machine code for sm_80 alone, and below the same name with ``.ptx`` its source."""
    ptx = kernel.with_name("scale.ptx")
    argv = [clang.path, "-x", "cuda", f"--cuda-path={clang.tree}", "--cuda-device-only", "--cuda-gpu-arch=sm_80"]
    run([*argv, "-Wno-unknown-cuda-version", "-S", kernel, "-o", ptx])
    run([clang.tree / "bin" / "ptxas", "-arch=sm_80", ptx, "-o", ptx.with_suffix(".cubin")])
    return ptx.with_suffix(".cubin")


def test_old_and_new_form_of_the_call_give_the_same_container(clang: Clang, cubin: Path, tmp_path: Path) -> None:
    library, ptx = clang.tree / "lib64" / fatbinary_program.LIBRARY, cubin.with_suffix(".ptx")
    old = [f"--image=profile=sm_80,file={cubin}", f"--image=profile=compute_80,file={ptx}"]
    new = [f"--image3=kind=elf,sm=80,file={cubin}", f"--image3=kind=ptx,sm=80,file={ptx}"]
    assert fatbinary_program.main(["-64", "--create", str(tmp_path / "old"), *old], library) == 0
    assert fatbinary_program.main(["-64", "-g", "--create", str(tmp_path / "new"), *new], library) == 0
    run([clang.tree / "bin" / "fatbinary", "-64", "--create", tmp_path / "program", *new])
    assert (tmp_path / "old").read_bytes() == (tmp_path / "program").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old", "program"]


@pytest.mark.parametrize(
    "image",
    [
        "profile=sm_90,file={}.cubin",
        "profile=sm_80,file={}.ptx",
        "profile=compute_90,file={}.cubin",
        "profile=sm_80,file={}",
    ],
    ids=["other arch", "PTX for machine code", "machine code for PTX", "no file"],
)
def test_a_wrong_image_is_named_and_nothing_is_written(clang: Clang, cubin: Path, tmp_path: Path, image: str) -> None:
    argument = "--image=" + image.format(cubin.with_suffix(""))
    with pytest.raises(CommandError, match="exit code 1") as caught:
        run([clang.tree / "bin" / "fatbinary", "-64", "--create", tmp_path / "out", argument])
    assert str(cubin.with_suffix("")) in caught.value.output
    assert list(tmp_path.iterdir()) == []


def test_what_the_library_refuses_is_said_in_its_own_words(
    clang: Clang, cubin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-64", "--create", str(tmp_path / "out"), f"--image=profile=sm_90,file={cubin}"]
    assert fatbinary_program.main(words, clang.tree / "lib64" / fatbinary_program.LIBRARY) == 1
    assert (
        f"nvFatbinAddCubin: fatbinary elf mismatch: elf arch does not match user-specified arch (elf for 90: {cubin})"
        in capsys.readouterr().err
    )


def test_the_program_fails_with_the_reason_and_an_exit_code(clang: Clang, tmp_path: Path) -> None:
    argv = [clang.tree / "bin" / "fatbinary", "-64", "--create", tmp_path / "out", "--image=profile=sm_80,file=missing"]
    with pytest.raises(CommandError, match="exit code 1") as caught:
        run(argv, env={"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere"})
    assert "fatbinary: [Errno 2] No such file or directory: 'missing'" in caught.value.output


# --- the choice ------------------------------------------------------------------------------------------


def test_the_real_machine_has_a_toolchain_for_cu12_and_the_second_look_is_the_same() -> None:
    line = build_config.load().lines["cu12"]
    first = toolchain.prepare(line, cache=user_cache_path("tfwheel"))
    assert first == toolchain.prepare(line, cache=user_cache_path("tfwheel"))
    assert first.kind in ("nvcc", "clang")
    assert first.cuda_root
    assert (first.cuda_root / "include" / "cuda_runtime.h").is_file()


def test_a_real_nvcc_serves_the_lines_of_its_own_major(tmp_path: Path, kernel: Path) -> None:
    (nvcc,) = needs.programs("nvcc")
    version = run([nvcc, "--version"]).partition("release ")[2].partition(",")[0]
    found, _ = compilers.nvcc(f"{version}.0")
    assert found
    assert (compilers.cuda_root(found.path) / "bin" / "nvcc").is_file()
    code = ["-gencode", "arch=compute_80,code=sm_80", "-gencode", "arch=compute_90,code=compute_90"]
    run([found.path, *code, "-c", kernel, "-o", tmp_path / "scale.o"])
    assert fatbin.archs_of(tmp_path / "scale.o") == ("sm_80", "compute_90")
