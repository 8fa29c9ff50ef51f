"""Measures the wheel of TensorFlow that a target starts from: what ``bases.toml`` says of an official one."""

from __future__ import annotations

from pathlib import Path

from tfwheel.config.targets import Base, is_core
from tfwheel.gpu import code_inventory, elf, fatbin
from tfwheel.system.files import sha256_of
from tfwheel.wheel import core_metadata
from tfwheel.wheel.reader import WheelReader

# Only libraries with this in their RUNPATH load CUDA; the RUNPATHs of the others stay inside the wheel.
CUDA_FOLDERS = "/nvidia/"


def measure(wheel: Path, *, project: str, version: str, python: str, scratch: Path) -> Base:
    """Read the facts of a wheel: hash, size, tags, requirements, RUNPATHs, GPU code."""
    runpaths: dict[str, str] = {}
    archs: dict[str, tuple[str, ...]] = {}
    kinds: dict[str, tuple[str, ...]] = {}
    with WheelReader(wheel) as reader:
        metadata = next(name for name in reader.names() if name.endswith(".dist-info/METADATA"))
        fields = core_metadata.read(reader.read(metadata))
        for name in sorted(name for name in reader.names() if ".so" in Path(name).name):
            library = scratch / "library"
            reader.extract(name, library)
            with library.open("rb") as stream:
                if stream.read(len(elf.MAGIC)) != elf.MAGIC:
                    continue
                runpath = elf.dynamic(stream).runpath
            runpaths |= {name: runpath} if runpath and CUDA_FOLDERS in runpath else {}
            found = fatbin.archs_of(library)
            archs |= {name: found} if found else {}
            if is_core(name):
                kinds = code_inventory.merged([kinds, code_inventory.read(library).by_kind])
    return Base(
        project=project,
        version=version,
        python=python,
        file=wheel.name,
        sha256=sha256_of(wheel),
        size=wheel.stat().st_size,
        platforms=tuple(wheel.stem.split("-")[-1].split(".")),
        requires_python=fields.get("requires_python", ""),
        requires_dist=tuple(fields.get("requires_dist", [])),
        runpaths=runpaths,
        archs=archs,
        families=kinds,
    )
