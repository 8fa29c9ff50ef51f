"""A small library retargeted with a compiler whose work is all done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpulibraries import machine_code, ptx
from tfwheel.config.schema import Retarget
from tfwheel.retarget import gpu_image, ptxas
from tfwheel.retarget.rewrite import Report, retarget_library

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpulibraries import Library


TOOLS = ("nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.8.90")
WANTED = Retarget(archs=("70", "80", "120"), generated=("70", "120"), tools=TOOLS, ptx="90")
MODULES = ("matmul", "conv", "reduce", "add", "mul")


def compiler(folder: Path, sizes: Mapping[str, int] | None = None) -> ptxas.PtxCompiler:
    """A compiler whose work is all done: entries for 120 of every module lie in its cache, of these plain sizes."""
    made = ptxas.PtxCompiler(
        program=folder / "ptxas", nvfatbin=folder / "nvfatbin", packages=TOOLS, cache=folder / "cache"
    )
    for name in MODULES:
        kept = made.place_of(gpu_image.portable(ptx(name)), "120")
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(machine_code(120, name, (sizes or {}).get(name, 300)))
    return made


def retarget(
    folder: Path, library: Library | bytes, wanted: Retarget = WANTED, sizes: Mapping[str, int] | None = None
) -> tuple[bytes, bytes, Report]:
    """The library before and after, and the report."""
    path = folder / "library.so"
    path.write_bytes(library if isinstance(library, bytes) else library.to_bytes())
    before = path.read_bytes()
    report = retarget_library(path, wanted=wanted, compiler=compiler(folder, sizes))
    return before, path.read_bytes(), report
