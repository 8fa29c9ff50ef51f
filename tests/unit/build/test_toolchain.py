"""What is chosen for a line, and how the CUDA tree comes together, from stand-ins for compilers and packages."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tfwheel.build import compilers, cuda_tree, toolchain
from tfwheel.build.compilers import Compiler
from tfwheel.build.errors import NoCompilerError
from tfwheel.config.targets import Line
from tfwheel.gpu.errors import ToolchainError
from tfwheel.system import kept_folders, pip
from tfwheel.system.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

GXX = Compiler(path=Path("/usr/bin/g++"), version="g++ 12.2.0")
NVCC = Compiler(path=Path("/opt/cuda/bin/nvcc"), version="nvcc 12.8.93")
CLANG = Compiler(path=Path("/usr/bin/clang++-19"), version="clang version 19.1.7")
CPU = Line(name="cpu", label="cpu", base="tensorflow-cpu")
CU12 = Line(name="cu12", label="cu125", base="tensorflow", cuda="12.5.1", archs=("80",), toolkit=("nvidia-x==1",))
# Where NVIDIA's wheels have the files of cuda_tree.REQUIRED.
PACKED = {
    "cuda_nvcc/bin/ptxas": "bin/ptxas",
    "cuda_nvcc/include/crt/host_defines.h": "include/crt/host_defines.h",
    "cuda_nvcc/nvvm/libdevice/libdevice.10.bc": "nvvm/libdevice/libdevice.10.bc",
    "cuda_runtime/include/cuda.h": "include/cuda.h",
    "cuda_runtime/include/cuda_runtime.h": "include/cuda_runtime.h",
    "cuda_runtime/include/cuda_fp16.h": "include/cuda_fp16.h",
    "cuda_runtime/include/cuda_bf16.h": "include/cuda_bf16.h",
    "curand/include/curand_mtgp32_kernel.h": "include/curand_mtgp32_kernel.h",
    "cuda_cccl/include/nv/target": "include/nv/target",
    "cuda_runtime/lib/libcudart.so.12": "lib64/libcudart.so.12",
    "curand/lib/libcurand.so.10": "lib64/libcurand.so.10",
    "nvfatbin/lib/libnvfatbin.so.12": "lib64/libnvfatbin.so.12",
}
# What is ours in the tree.
OURS = {
    *("bin/fatbinary", "bin/fatbinary.py", "bin/nvcc", "version.json", kept_folders.WHOLE),
    *("programs/__main__.py", "programs/tfwheel/gpu/nvcc_options.py", "programs/tfwheel/gpu/nvcc_program.py"),
    *("lib64/libcudadevrt.a", "lib64/libcudart.so", "lib64/libcudart_static.a"),
    *("lib64/libcurand.so", "lib64/libnvfatbin.so"),
}


class Packages:
    """Stands in for the packages on PyPI: unpacks ``files``, counts the calls."""

    def __init__(self) -> None:
        self.files = dict.fromkeys([*PACKED, "cuda_nvcc/nvvm/lib64/libnvvm.so", "cuda_nvcc/lib/__init__.py"], "x")
        self.calls = 0

    def install(self, requirements: Sequence[str], target: Path) -> None:
        """As ``pip.install_parts``."""
        assert requirements == CU12.toolkit
        self.calls += 1
        for name, text in self.files.items():
            path = target / "nvidia" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (target / "nvidia" / "__init__.py").touch()


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Packages:
    found = Packages()
    monkeypatch.setattr(pip, "install_parts", found.install)
    return found


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with g++ and clang, without nvcc or ccache."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(compilers, "host", lambda: GXX)
    monkeypatch.setattr(compilers, "nvcc", lambda _: (None, []))
    monkeypatch.setattr(compilers, "clang", lambda: CLANG)


def test_a_line_without_gpu_code_needs_a_host_compiler_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "clang", pytest.fail)
    chosen = toolchain.prepare(CPU, cache=tmp_path)
    assert (chosen.kind, chosen.device, chosen.cuda_root) == ("none", None, None)
    assert chosen.environment() == {"CXX": "/usr/bin/g++"}
    assert "no GPU code" in chosen.reason
    assert list(tmp_path.iterdir()) == []


def test_an_nvcc_of_the_right_major_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "nvcc", lambda _: (NVCC, []))
    monkeypatch.setattr(compilers, "cuda_root", lambda _: Path("/opt/cuda"))
    monkeypatch.setattr(compilers, "clang", pytest.fail)
    chosen = toolchain.prepare(CU12, cache=tmp_path)
    assert (chosen.kind, chosen.device, chosen.cuda_root, chosen.parts) == ("nvcc", NVCC, Path("/opt/cuda"), "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("packages")
def test_otherwise_clang_with_parts_of_cuda_and_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilers, "nvcc", lambda _: (None, ["the nvcc of PATH is of CUDA 13.0.88"]))
    chosen = toolchain.prepare(CU12, cache=tmp_path)
    assert (chosen.kind, chosen.device) == ("clang", CLANG)
    assert chosen.environment() == {
        "CXX": "/usr/bin/g++",
        "OPS_DEVICE_COMPILER": "/usr/bin/clang++-19",
        "OPS_CUDA_PATH": str(chosen.cuda_root),
    }
    assert "because the nvcc of PATH is of CUDA 13.0.88" in chosen.reason
    assert chosen.versions == {
        "host compiler": "g++ 12.2.0",
        "device compiler": "clang version 19.1.7",
        "nvidia-x": "1",
    }


def test_a_compiler_cache_is_used_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sccache"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    environment = toolchain.prepare(CPU, cache=tmp_path).environment()
    assert environment["CMAKE_CXX_COMPILER_LAUNCHER"] == environment["CMAKE_CUDA_COMPILER_LAUNCHER"] == str(program)


def test_a_line_that_clang_cannot_serve_asks_for_an_nvcc(tmp_path: Path) -> None:
    with pytest.raises(NoCompilerError, match="needs an nvcc") as caught:
        toolchain.prepare(replace(CU12, cuda="13.0.2", toolkit=()), cache=tmp_path)
    assert "CUDA_HOME" in caught.value.remedy


@pytest.mark.usefixtures("packages")
def test_another_compiler_or_another_part_is_another_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = toolchain.prepare(CU12, cache=tmp_path).identity
    assert toolchain.prepare(CU12, cache=tmp_path / "elsewhere").identity == first
    monkeypatch.setattr(cuda_tree.sources, "digest", lambda _: "changed")
    changed_part = toolchain.prepare(CU12, cache=tmp_path).identity
    monkeypatch.setattr(compilers, "clang", lambda: replace(CLANG, version="clang version 19.1.8"))
    changed_compiler = toolchain.prepare(CU12, cache=tmp_path).identity
    assert len({tuple(found.items()) for found in (first, changed_part, changed_compiler)}) == 3


def test_the_tree_is_what_clang_looks_for_and_no_more(tmp_path: Path, packages: Packages) -> None:
    tree = cuda_tree.make(CU12, tmp_path)
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert files == {*PACKED.values(), *OURS}
    assert set(cuda_tree.REQUIRED) <= files
    assert all(os.access(tree / "bin" / name, os.X_OK) for name in ("ptxas", "fatbinary", "nvcc"))
    assert (tree / "lib64/libcudart.so").readlink() == Path("libcudart.so.12")
    assert packages.calls == 1


def test_the_versions_of_the_tree_are_those_of_its_parts() -> None:
    line = replace(CU12, toolkit=("nvidia-cuda-nvcc-cu12==12.5.82", "nvidia-cuda-cccl-cu12==12.5.39.post1"))
    assert {name: part["version"] for name, part in cuda_tree.versions(line).items()} == {
        "cuda": "12.5.1",
        "cuda_nvcc": "12.5.82",
        "cuda_cccl": "12.5.39.post1",
    }


def test_the_second_call_takes_the_tree_that_is_there(tmp_path: Path, packages: Packages) -> None:
    assert cuda_tree.make(CU12, tmp_path) == cuda_tree.make(CU12, tmp_path)
    assert packages.calls == 1


def test_two_at_once_make_one_tree(tmp_path: Path, packages: Packages) -> None:
    with ThreadPoolExecutor(4) as pool:
        trees = set(pool.map(lambda _: cuda_tree.make(CU12, tmp_path), range(4)))
    assert len(trees) == 1
    assert packages.calls == 1


def test_a_tree_that_was_emptied_is_made_again(tmp_path: Path, packages: Packages) -> None:
    tree = cuda_tree.make(CU12, tmp_path)
    (tree / "bin" / "ptxas").unlink()
    assert cuda_tree.make(CU12, tmp_path) == tree
    assert packages.calls == 2
    assert (tree / "bin" / "ptxas").is_file()


def test_a_file_in_place_of_the_tree_is_replaced(tmp_path: Path, packages: Packages) -> None:
    tree = cuda_tree.folder(CU12, tmp_path)
    tree.parent.mkdir(parents=True)
    tree.touch()
    assert cuda_tree.make(CU12, tmp_path).is_dir()
    assert packages.calls == 1


def test_missing_files_are_named_and_nothing_is_kept(tmp_path: Path, packages: Packages) -> None:
    del packages.files["cuda_cccl/include/nv/target"]
    with pytest.raises(ToolchainError, match=r"line cu12 \(nvidia-x==1\) lacks include/nv/target") as caught:
        cuda_tree.make(CU12, tmp_path)
    assert "lines.toml" in caught.value.remedy
    assert _folders(tmp_path) == []
    packages.files["cuda_cccl/include/nv/target"] = "x"
    assert (cuda_tree.make(CU12, tmp_path) / "include/nv/target").is_file()


def test_a_failed_download_leaves_no_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Sequence[str], target: Path) -> None:
        target.mkdir(parents=True)
        message = "cut off"
        raise DownloadError(message)

    monkeypatch.setattr(pip, "install_parts", fail)
    with pytest.raises(DownloadError):
        cuda_tree.make(CU12, tmp_path)
    assert _folders(tmp_path) == []


def _folders(cache: Path) -> list[Path]:
    return list(cache.glob("toolchains/*"))


@pytest.mark.parametrize(
    "name",
    [
        "CXXFLAGS",
        "NVCC_APPEND_FLAGS",
        "CMAKE_ARGS",
        "CMAKE_TOOLCHAIN_FILE",
        "SKBUILD_CMAKE_BUILD_TYPE",
        "C_INCLUDE_PATH",
    ],
)
def test_flags_of_the_environment_are_another_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    first = toolchain.choose(CU12, cache=tmp_path).identity
    monkeypatch.setenv(name, "-O0")
    assert toolchain.choose(CU12, cache=tmp_path).identity != first


def test_the_content_of_a_file_that_a_flag_names_is_in_the_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setenv("CMAKE_TOOLCHAIN_FILE", str(tmp_path / "mine.cmake"))
    for text in ("set(A 1)", "set(A 2)"):
        (tmp_path / "mine.cmake").write_text(text)
        found.append(toolchain.choose(CU12, cache=tmp_path).identity)
    assert found[0] != found[1]


def test_how_fast_and_how_loud_a_build_is_changes_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = toolchain.choose(CU12, cache=tmp_path).identity
    monkeypatch.setenv("CMAKE_BUILD_PARALLEL_LEVEL", "7")
    monkeypatch.setenv("SKBUILD_LOGGING_LEVEL", "DEBUG")
    assert toolchain.choose(CU12, cache=tmp_path).identity == first
