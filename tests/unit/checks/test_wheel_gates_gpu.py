"""The gates that read GPU code: a wheel has what its line wants and its plan promises, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakeelf
from fakewheels import CPU, LINE, OP_LIBRARY, PYWRAP, RULES, fake_base, fake_final, locked, target
from gates import ADDED, changed, fat, gpu_code, judge, portable
from tfwheel.checks import wheel_gates
from tfwheel.checks.errors import ArchGateError, PromiseGateError
from tfwheel.checks.opened_wheel import opened
from tfwheel.config.schema import Retarget
from tfwheel.config.targets import OpsRules
from tfwheel.gpu import code_inventory

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.targets import Line


def test_a_wheel_without_libraries_of_its_own_passes_the_arch_gate(base: Path, tmp_path: Path) -> None:
    assert judge(wheel_gates.arch, changed(tmp_path, base, {**ADDED}), base) == "no GPU code in 0 libraries of its own"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (LINE, (gpu_code(75), gpu_code(80), portable(90))),
        (replace(LINE, ptx=None, archs=("80",)), (gpu_code(80),)),
        (CPU, ()),
    ],
)
def test_exactly_the_promised_code_passes_the_arch_gate(
    base: Path, tmp_path: Path, line: Line, found: tuple[bytes, ...]
) -> None:
    declared = changed(tmp_path, base, {OP_LIBRARY: fat(*found), "tfwheel_ops/_cpu.so": fat()})
    assert ", ".join(line.gpu_code) in judge(wheel_gates.arch, declared, base, aim=target(line))


@pytest.mark.parametrize(
    ("line", "found", "words"),
    [
        (
            LINE,
            (gpu_code(75), portable(90)),
            "has GPU code for sm_75, compute_90; the line promises sm_75, sm_80, compute_90",
        ),
        (
            LINE,
            (gpu_code(75), gpu_code(80), gpu_code(90), portable(90)),
            "has GPU code for sm_75, sm_80, sm_90, compute_90",
        ),
        (LINE, (gpu_code(75), gpu_code(80)), "has GPU code for sm_75, sm_80;"),
        (LINE, (), f"no GPU code in {OP_LIBRARY}; the line promises sm_75"),
        (CPU, (gpu_code(75),), "the line promises none"),
    ],
    ids=["too little", "too much", "no PTX", "none", "on the CPU line"],
)
def test_other_gpu_code_fails_the_arch_gate(
    base: Path, tmp_path: Path, line: Line, found: tuple[bytes, ...], words: str
) -> None:
    with pytest.raises(ArchGateError, match=words):
        judge(wheel_gates.arch, changed(tmp_path, base, {OP_LIBRARY: fat(*found)}), base, aim=target(line))


@pytest.mark.parametrize("rule", ["exact", "at-least", "none"])
def test_a_line_without_gpu_code_has_none_whatever_is_promised_of_a_library(
    base: Path, tmp_path: Path, rule: str
) -> None:
    rules = replace(RULES, ops=OpsRules(archs={OP_LIBRARY: rule}))
    aim = target(CPU)
    assert judge(wheel_gates.arch, changed(tmp_path / "none", base, {OP_LIBRARY: fat()}), base, rules, aim)
    with pytest.raises(ArchGateError, match=r"has GPU code for sm_75; .* promises? none"):
        judge(wheel_gates.arch, changed(tmp_path, base, {OP_LIBRARY: fat(gpu_code(75))}), base, rules, aim)


BIG, SLIM = (gpu_code(70), gpu_code(120), portable(90)), (gpu_code(70),)
RETARGET = Retarget(archs=("70", "120"), generated=("70", "120"), tools=("ptxas==1", "nvfatbin==1"), ptx="90")
NATIVE = replace(LINE, retarget=RETARGET)
OPS = fat(gpu_code(75), gpu_code(80), portable(90))
CORE = "tensorflow/libtensorflow_cc.so.2"


def core(*big: tuple[bytes, ...], generated: tuple[bytes, ...] = BIG) -> bytes:
    """A library of TensorFlow with big kernels, each with these images, and one generated kernel."""
    movable = b"".join(fakeelf.container(*entries) for entries in big)
    parts = [fakeelf.Part(name=".nv_fatbin", data=movable)] if big else []
    parts += [fakeelf.Part(name=".rodata", data=fakeelf.container(*generated))] if generated else []
    return fakeelf.elf(*parts)


def promise(folder: Path, changes: dict[str, bytes], line: Line = NATIVE, official: bytes = b"") -> tuple[str, object]:
    """What the promise gate says about a wheel with these changes, and the GPU code that was found."""
    base = fake_base(folder / "base", binary=False)
    if official:
        base = fake_final(folder / "official", base, {CORE: official}, version="2.20.0")
    images = ("sm_60", "sm_70", "compute_90")
    lock = replace(
        locked(base), archs={CORE: images, PYWRAP: images}, families={"fatbin": images, "generated": images[:2]}
    )
    declared = changed(folder, base, changes)
    with opened(declared, base=base, locked=lock, target=target(line), rules=RULES) as candidate:
        return wheel_gates.promise(candidate), candidate.gpu_code


def test_what_the_plan_promises_and_the_wheel_has_passes_the_promise_gate(tmp_path: Path) -> None:
    said, found = promise(tmp_path, {CORE: core(BIG, (*BIG, gpu_code(80))), OP_LIBRARY: OPS})
    big = ("sm_70", "sm_120", "compute_90")
    assert found == {"fatbin": big, "generated": big, "ops": ("sm_75", "sm_80", "compute_90")}
    assert said.startswith(
        "big kernels: sm_70, sm_120, compute_90; generated kernels: sm_70, sm_120, compute_90; custom"
    )
    assert f"`{CORE}`: sm_70, sm_80, sm_120, compute_90" in said


def test_another_library_of_tensorflow_is_no_library_of_ops(tmp_path: Path) -> None:
    every = replace(NATIVE, retarget=RETARGET.model_copy(update={"libraries": ("all",)}))
    said, found = promise(tmp_path, {CORE: core(BIG), PYWRAP: core(SLIM, generated=()), OP_LIBRARY: OPS}, every)
    assert found == {"fatbin": ("sm_70", "sm_120", "compute_90")} | {
        "generated": ("sm_70", "sm_120", "compute_90"),
        "ops": ("sm_75", "sm_80", "compute_90"),
    }
    assert f"`{PYWRAP}`: sm_70" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({CORE: core(BIG, SLIM)}, "promises sm_120, compute_90 for all big kernels; what all of them have is sm_70\n"),
        ({CORE: core(BIG, generated=SLIM)}, "sm_120, compute_90 for all generated kernels; .* is sm_70\n"),
        ({CORE: core(BIG, generated=())}, "sm_70, sm_120, compute_90 for all generated kernels; .* is none\n"),
        ({CORE: core(BIG), OP_LIBRARY: fat()}, "sm_75, sm_80, compute_90 for all custom ops; .* is none\n"),
        ({CORE: core(BIG), "tfwheel_ops/_two.so": fat(gpu_code(75), portable(90))}, "sm_80 for all custom ops"),
    ],
    ids=["one big kernel", "no room for the generated", "no generated", "no ops", "one library of ops"],
)
def test_a_plan_that_promises_more_than_the_wheel_has_fails_by_name(
    tmp_path: Path, changes: dict[str, bytes], words: str
) -> None:
    with pytest.raises(PromiseGateError, match=words) as caught:
        promise(tmp_path, {OP_LIBRARY: OPS, **changes})
    assert "lines.toml" in caught.value.remedy


def test_libraries_that_stay_official_are_read_for_the_promise_gate_too(tmp_path: Path) -> None:
    official = core((gpu_code(60), gpu_code(70), portable(90)), generated=(gpu_code(60), gpu_code(70)))
    _, found = promise(tmp_path, {OP_LIBRARY: OPS}, LINE, official=official)
    assert found == {
        "fatbin": ("sm_60", "sm_70", "compute_90"),
        "generated": ("sm_60", "sm_70"),
        "ops": ("sm_75", "sm_80", "compute_90"),
    }
    with pytest.raises(PromiseGateError, match="promises sm_60 for all generated kernels"):
        promise(tmp_path / "less", {OP_LIBRARY: OPS}, LINE, official=core(BIG[:1] + official_big(), generated=SLIM))


def official_big() -> tuple[bytes, ...]:
    """The rest of what the lock says about big kernels."""
    return gpu_code(60), portable(90)


def test_a_wheel_for_cpus_has_no_gpu_code_and_promises_none(base: Path, tmp_path: Path) -> None:
    said = judge(wheel_gates.promise, changed(tmp_path, base, {OP_LIBRARY: fat()}), base, aim=target(CPU))
    assert said == "no GPU code"


def test_each_library_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, seen = code_inventory.read, []
    monkeypatch.setattr(code_inventory, "read", lambda path: seen.append(path) or read(path))
    base = fake_base(tmp_path / "base", binary=False)
    lock = replace(locked(base), archs={CORE: ("sm_70",)}, families={"fatbin": ("sm_70",), "generated": ("sm_70",)})
    declared = changed(tmp_path, base, {CORE: core(BIG), OP_LIBRARY: OPS})
    with opened(declared, base=base, locked=lock, target=target(NATIVE), rules=RULES) as candidate:
        wheel_gates.arch(candidate)
        wheel_gates.promise(candidate)
    assert len(seen) == len(set(seen)) == 2
