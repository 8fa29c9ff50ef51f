"""What a gate says about a small wheel, and the libraries with GPU code that it may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fakeelf
from fakewheels import RULES, VERSION, Declared, fake_final, locked, target, write_wheel
from gpulibraries import packed, ptx
from tfwheel.checks.opened_wheel import opened, opened_ops
from tfwheel.checks.symbol_gate import symbols

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfwheel.checks.opened_wheel import OpenedWheel
    from tfwheel.config.targets import RepairRules, Target


LABEL = "tensorflow/tools/pip_package/label.py"


def fat(*entries: bytes) -> bytes:
    """A library with one container of GPU code (or none)."""
    parts = [fakeelf.Part(name=".nv_fatbin", data=fakeelf.container(*entries))] if entries else []
    return fakeelf.elf(*parts)


def gpu_code(arch: int) -> bytes:
    """Machine code for a compute capability."""
    return fakeelf.entry(fakeelf.ELF, arch)


def portable(arch: int) -> bytes:
    """PTX for a compute capability."""
    return packed(fakeelf.PTX, arch, ptx("kernel", arch))


ADDED = {"tfwheel_ops/__init__.py": b"'ops'\n"}


def judge(
    gate: Callable[[OpenedWheel], str],
    declared: Declared,
    base: Path,
    rules: RepairRules = RULES,
    aim: Target | None = None,
) -> str:
    """What one gate says about a merged wheel."""
    with opened(declared, base=base, locked=locked(base), target=aim or target(), rules=rules) as candidate:
        return gate(candidate)


def judge_ops(
    folder: Path,
    base: Path,
    members: dict[str, bytes],
    rules: RepairRules = RULES,
    tag: str = "manylinux_2_17_x86_64",
) -> str:
    """What the gate of symbols says about an ops wheel with these members, beside an official wheel."""
    wheel = write_wheel(folder, members, name="tfwheel_ops", version=VERSION, tag=f"py3-none-{tag}")
    with opened_ops(wheel, target=target(), rules=rules, beside=base) as candidate:
        return symbols(candidate)


def changed(folder: Path, base: Path, changes: dict[str, bytes | None] | None = None, **more: str) -> Declared:
    """A merged wheel in which every change is declared."""
    wheel = fake_final(folder, base, changes, **more)
    here = changes or {}
    replaced = tuple(name for name in here if name.startswith("tensorflow/") and here[name] is not None)
    return Declared(
        wheel=wheel,
        added=tuple(name for name in here if here[name] is not None and name not in replaced),
        replaced=replaced,
        removed=tuple(name for name in here if here[name] is None),
    )
