"""Retarget gates with NVIDIA's own programs, on libraries that a real compiler made."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from platformdirs import user_cache_path

from tfwheel.build import compilers, cuda_tree
from tfwheel.build.errors import NoCompilerError
from tfwheel.checks import gpu_gates
from tfwheel.checks.errors import RetargetGateError
from tfwheel.checks.gpu_gates import Retargeted
from tfwheel.config import build_config
from tfwheel.gpu import cuda_binutils, elf, fatbin
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path

CACHE = user_cache_path("tfwheel")
KERNEL = """
template <typename T> __global__ void scale(const T* x, T* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = T(2) * x[i];
}
void launch(const float* a, float* b, const double* c, double* d, int n) {
  scale<<<(n + 255) / 256, 256>>>(a, b, n);
  scale<<<(n + 255) / 256, 256>>>(c, d, n);
}
"""


def compiled(folder: Path, *archs: str) -> Path:
    """A library with kernels for these archs and PTX for 8.0, by clang and the parts of the line cu12."""
    try:
        clang = compilers.clang().path
    except NoCompilerError as error:
        pytest.skip(str(error))
    tree = cuda_tree.make(build_config.load().lines["cu12"], CACHE)
    source, output = folder / "scale.cu", folder / f"scale-{'-'.join(archs)}.o"
    source.write_text(KERNEL)
    options = ["-x", "cuda", f"--cuda-path={tree}", "-std=c++17", "-O2", "-fPIC", "-Wno-unknown-cuda-version"]
    options += [
        "--no-cuda-include-ptx=all",
        "--cuda-include-ptx=sm_80",
        *(f"--cuda-gpu-arch=sm_{arch}" for arch in archs),
    ]
    run([clang, *options, "-c", source, "-o", output])
    return output


def put(library: Path, container: bytes) -> None:
    """Place a container in a library whose own was larger."""
    with library.open("rb") as stream:
        section = next(part for part in elf.sections(stream) if part.name == ".nv_fatbin")
    assert len(container) <= section.size
    with library.open("r+b") as stream:
        stream.seek(section.offset)
        stream.write(container + bytes(section.size - len(container)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Retargeted:
    """An "official" library for 7.5, 8.0 and 8.6, and one made of it by hand for 8.0 and 8.9. Read only."""
    folder = tmp_path_factory.mktemp("made")
    official, other = compiled(folder, "75", "80", "86"), compiled(folder, "80", "89")
    patched = folder / "library.so"
    shutil.copyfile(official, patched)
    entries = {entry.name: (source, entry) for source in (other, official) for entry in fatbin.entries(source)}
    raw = []
    for name in ("sm_80", "sm_89", "compute_80"):
        source, entry = entries[name]
        raw.append(source.read_bytes()[entry.header : entry.end])
    put(patched, fatbin.pack(raw))
    return Retargeted(original=official, patched=patched, archs={".nv_fatbin": ("sm_80", "sm_89", "compute_80")})


@pytest.fixture
def mine(whole: Retargeted, tmp_path: Path) -> Retargeted:
    """A copy to spoil."""
    shutil.copyfile(whole.patched, tmp_path / "library.so")
    return replace(whole, patched=tmp_path / "library.so")


def test_a_library_made_well_passes_every_gate(whole: Retargeted) -> None:
    findings = gpu_gates.run_retarget_gates(whole, cache=CACHE)
    assert list(findings) == ["untouched", "archs", "listed", "kept", "compiled", "portable", "disassembled"]
    assert findings["archs"] == ".nv_fatbin: sm_80 in 1, sm_89 in 1, compute_80 in 1"
    assert findings["listed"].startswith("3 images listed by nvidia-cuda-cuobjdump ")
    assert findings["kept"].startswith("2 images as in the official library")
    assert findings["compiled"] == "1 new images with 2 kernels, those of their PTX"
    assert findings["disassembled"].startswith("1 of 1 new images disassembled by nvidia-cuda-nvdisasm ")


def test_an_image_that_is_not_what_its_header_says_is_refused(mine: Retargeted) -> None:
    new = next(entry for entry in fatbin.entries(mine.patched) if entry.name == "sm_89")
    with mine.patched.open("r+b") as stream:
        stream.seek(new.offset)
        stream.write(b"\xff" * 64)
    with pytest.raises(RetargetGateError):
        gpu_gates.run_retarget_gates(mine, cache=CACHE)


def test_a_library_that_was_not_retargeted_is_refused(mine: Retargeted) -> None:
    shutil.copyfile(mine.original, mine.patched)
    with pytest.raises(RetargetGateError, match=r"has sm_75, .*; promised is sm_80, sm_89, compute_80"):
        gpu_gates.run_retarget_gates(mine, cache=CACHE)


def test_one_byte_of_text_is_found(mine: Retargeted) -> None:
    with mine.patched.open("rb") as stream:
        text = next(part for part in elf.sections(stream) if part.name == ".text").offset
    with mine.patched.open("r+b") as stream:
        stream.seek(text)
        stream.write(b"\xcc")
    with pytest.raises(RetargetGateError, match=f"byte {text:,}: changed"):
        gpu_gates.run_retarget_gates(mine, cache=CACHE)


def test_machine_code_for_another_arch_is_refused(mine: Retargeted, whole: Retargeted) -> None:
    there = {entry.name: entry for entry in fatbin.entries(whole.original)}
    data = whole.original.read_bytes()
    wrong = bytearray(data[there["sm_86"].header : there["sm_86"].end])
    wrong[28] = 89  # the arch in the header of the entry
    kept = [data[there[name].header : there[name].end] for name in ("sm_80", "compute_80")]
    put(mine.patched, fatbin.pack([kept[0], bytes(wrong), kept[1]]))
    with pytest.raises(RetargetGateError, match=r"(for another processor: 86|cuobjdump|not a cubin)"):
        gpu_gates.run_retarget_gates(mine, cache=CACHE)


def test_the_programs_are_fetched_once() -> None:
    assert cuda_binutils.prepare(CACHE) == cuda_binutils.prepare(CACHE)
    assert {path.name for path in cuda_binutils.prepare(CACHE).iterdir()} >= {"cuobjdump", "nvdisasm"}
