"""Kinds of GPU code in a library, and what a smoke run makes of them on a GPU."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING

import fakeelf
from tfwheel.checks import smoke
from tfwheel.gpu import code_inventory

if TYPE_CHECKING:
    from pathlib import Path


def entry(kind: int, arch: int, code: bytes) -> bytes:
    """A container entry, not compressed."""
    made = bytearray(fakeelf.entry(kind, arch, code + bytes(-len(code) % 8)))
    struct.pack_into("<Q", made, 40, 0x11)  # flags: 64 bit, Linux
    return bytes(made)


def library(path: Path) -> Path:
    """Big kernels for 8.0, 12.0 and 9.0 as PTX; generated ones for 7.0, and PTX that only 9.0 takes."""
    big = fakeelf.container(
        entry(fakeelf.ELF, 120, bytes(8)),
        entry(fakeelf.ELF, 80, bytes(8)),
        entry(fakeelf.PTX, 90, b".version 8.3\n.target sm_90\n"),
    )
    generated = fakeelf.container(
        entry(fakeelf.ELF, 70, bytes(8)), entry(fakeelf.PTX, 90, b".version 8.3\n.target sm_90a\n")
    )
    parts = fakeelf.Part(name=".nv_fatbin", data=big), fakeelf.Part(name=".rodata", data=generated + bytes(64))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fakeelf.elf(*parts))
    return path


def test_images_are_told_by_kind_in_numeric_order(tmp_path: Path) -> None:
    assert code_inventory.images_of([library(tmp_path / "lib.so")] * 2) == {
        "fatbin": ("sm_80", "sm_120", "compute_90"),
        "generated": ("sm_70", "compute_90a"),
    }


def test_a_library_without_gpu_code_has_none(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(fakeelf.elf())
    assert code_inventory.images_of([tmp_path / "lib.so"]) == {}


def test_several_answers_become_one() -> None:
    assert code_inventory.merged(
        {"fatbin": ("sm_90",)}, {"fatbin": ("sm_80", "compute_90"), "generated": ("sm_70",)}
    ) == {
        "fatbin": ("sm_80", "sm_90", "compute_90"),
        "generated": ("sm_70",),
    }


def test_a_smoke_report_says_what_its_gpu_runs(tmp_path: Path) -> None:
    library(tmp_path / "venv/lib/python3.12/site-packages/tensorflow/libtensorflow_cc.so.2")
    said = smoke._runs(SimpleNamespace(folder=tmp_path), "12.0")  # type: ignore[arg-type] -- all that it reads
    assert said["runs"] == {"fatbin": "SASS", "generated": "nothing"}
    assert said["images"]["generated"] == ["sm_70", "compute_90a"]
