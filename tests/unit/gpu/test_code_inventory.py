"""Kinds of GPU code in a library, and what a smoke run makes of them on a GPU."""

from __future__ import annotations

import struct
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

import fakeelf
from gpulibraries import machine_code, packed, ptx
from tfwheel.checks import smoke
from tfwheel.checks.environments import Environment
from tfwheel.gpu import code_inventory
from tfwheel.system.processes import Programs

if TYPE_CHECKING:
    from pathlib import Path

LINKED = fakeelf.container(machine_code(70, "nccl"), machine_code(90, "nccl"))
RELOCATABLE = fakeelf.container(packed(fakeelf.PTX, 90, ptx("nccl")))


def entry(kind: int, arch: int, code: bytes) -> bytes:
    """A container entry, not compressed."""
    made = bytearray(fakeelf.entry(kind, arch, code + bytes(-len(code) % 8)))
    struct.pack_into("<Q", made, 40, 0x11)  # flags: 64 bit, Linux
    return bytes(made)


BIG = fakeelf.container(
    entry(fakeelf.ELF, 120, bytes(8)),
    entry(fakeelf.ELF, 80, bytes(8)),
    entry(fakeelf.PTX, 90, b".version 8.3\n.target sm_90\n"),
)


def library(path: Path, *more: bytes, relocatable: bytes = b"") -> Path:
    """Big kernels for 8.0, 12.0 and 9.0 as PTX, and more; generated ones for 7.0, and PTX that only 9.0 takes."""
    generated = fakeelf.container(
        entry(fakeelf.ELF, 70, bytes(8)), entry(fakeelf.PTX, 90, b".version 8.3\n.target sm_90a\n")
    )
    parts = [
        fakeelf.Part(name=".nv_fatbin", data=BIG + b"".join(more)),
        fakeelf.Part(name=".rodata", data=generated + bytes(64)),
        *([fakeelf.Part(name="__nv_relfatbin", data=relocatable)] if relocatable else []),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fakeelf.elf(*parts))
    return path


def test_images_are_told_by_kind_in_numeric_order(tmp_path: Path) -> None:
    code = code_inventory.read(library(tmp_path / "lib.so"))
    assert code.by_kind == {"fatbin": ("sm_80", "sm_120", "compute_90"), "generated": ("sm_70", "compute_90a")}
    assert code.images == ("sm_70", "sm_80", "sm_120", "compute_90", "compute_90a")


def test_a_library_without_gpu_code_has_none(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(fakeelf.elf())
    code = code_inventory.read(tmp_path / "lib.so")
    assert (code.by_kind, code.images) == ({}, ())


def test_what_one_kernel_lacks_the_kind_lacks(tmp_path: Path) -> None:
    code = code_inventory.read(library(tmp_path / "lib.so", fakeelf.container(machine_code(80, "conv"))))
    assert code.by_kind["fatbin"] == ("sm_80",)
    assert "sm_120" in code.images


def test_what_the_device_linker_made_counts_with_its_relocatable_code(tmp_path: Path) -> None:
    linked = code_inventory.read(library(tmp_path / "lib.so", LINKED, relocatable=RELOCATABLE))
    assert linked.by_kind["fatbin"] == ("sm_80", "sm_120", "compute_90")
    assert "sm_90" in linked.images


@pytest.mark.parametrize(("big", "has"), [(LINKED, ("sm_70", "sm_90")), (LINKED + LINKED, ("sm_70", "sm_90"))])
def test_where_no_container_has_ptx_all_of_them_count(tmp_path: Path, big: bytes, has: tuple[str, ...]) -> None:
    parts = fakeelf.Part(name=".nv_fatbin", data=big), fakeelf.Part(name="__nv_relfatbin", data=RELOCATABLE)
    (tmp_path / "lib.so").write_bytes(fakeelf.elf(*parts))
    assert code_inventory.read(tmp_path / "lib.so").by_kind == {"fatbin": has}


def test_several_libraries_have_what_all_of_them_have() -> None:
    parts = [
        {"fatbin": ("sm_80", "sm_90", "sm_120")},
        {},
        {"fatbin": ("sm_120", "sm_80", "compute_90"), "generated": ("sm_70",)},
    ]
    assert code_inventory.merged(parts) == {"fatbin": ("sm_80", "sm_120"), "generated": ("sm_70",)}


def test_a_smoke_report_says_what_its_gpu_runs(tmp_path: Path) -> None:
    installed = tmp_path / "venv/lib/python3.12/site-packages/tensorflow"
    library(installed / "libtensorflow_cc.so.2")
    (installed / "libtensorflow_notes.txt").write_text("not a library")
    there = Environment(folder=tmp_path, log=tmp_path / "log", gpus=[], making=Future(), programs=Programs())
    said = smoke._runs(there, "12.0")
    assert said["runs"] == {"fatbin": "SASS", "generated": "nothing"}
    assert said["images"]["generated"] == ["sm_70", "compute_90a"]
