"""Retarget gates on small libraries with real containers: what is right passes, each kind of wrong is named."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakeelf
from tfwheel.checks import gpu_gates
from tfwheel.checks.byte_diff import unchanged
from tfwheel.checks.errors import RetargetGateError
from tfwheel.checks.gpu_gates import Pair, Retargeted
from tfwheel.config.schema import Retarget
from tfwheel.errors import FactoryError
from tfwheel.gpu import elf, fatbin
from tfwheel.gpu.byte_edit import ByteEdit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ROOM = 4096  # bytes of .nv_fatbin in every library here
ADDRESS = 0x100000  # of .nv_fatbin
PROMISED = {".nv_fatbin": ("sm_80", "sm_120", "compute_90")}
KERNELS = (b"add", b"mul")


def ptx(*kernels: bytes, target: bytes = b"sm_90") -> bytes:
    """Portable code with these kernels."""
    body = b"".join(b".visible .entry " + name + b"(\n)\n{\n ret;\n}\n" for name in kernels)
    return b".version 8.3\n.target " + target + b"\n.address_size 64\n" + body


def cubin(*kernels: bytes, arch: int) -> bytes:
    """Machine code as NVIDIA's tools write it, as far as a gate reads it: header, and symbols of kernels."""
    names = b"\0" + b"".join(name + b"\0" for name in (*kernels, b"helper"))
    marks = [(name, 0x12, 0x10) for name in kernels] + [(b"helper", 0x12, 0)]
    table = b"".join(
        elf.SYMBOL.pack(names.index(b"\0" + name) + 1, info, other, 1, 0, 0) for name, info, other in marks
    )
    image = bytearray(
        fakeelf.elf(
            fakeelf.Part(name=".symtab", data=bytes(24) + table, kind=2, link=2, entry_size=24),
            fakeelf.Part(name=".strtab", data=names, kind=fakeelf.SHT_STRTAB),
        )
    )
    image[8] = 8 if arch >= 100 else 7
    struct.pack_into("<H", image, 18, 190)
    struct.pack_into("<I", image, 48, arch << 8 if arch >= 100 else arch)
    return bytes(image)


def entry(name: str, code: bytes) -> bytes:
    """A container entry, not compressed."""
    kind, arch = name.split("_")
    padded = code + bytes(-len(code) % 8)
    made = bytearray(fakeelf.entry(fakeelf.ELF if kind == "sm" else fakeelf.PTX, int(arch), padded))
    struct.pack_into("<Q", made, 40, 0x11)  # flags: 64 bit, Linux
    return bytes(made)


def official(*, target: bytes = b"sm_90") -> list[bytes]:
    """The entries of an official container."""
    return [
        entry("sm_60", cubin(*KERNELS, arch=60)),
        entry("sm_80", cubin(*KERNELS, arch=80)),
        entry("compute_90", ptx(*KERNELS, target=target)),
    ]


def retargeted(*, target: bytes = b"sm_90") -> list[bytes]:
    """What becomes of them: one arch goes, one comes."""
    _, middle, text = official(target=target)
    return [middle, entry("sm_120", cubin(*KERNELS, arch=120) + bytes(64)), text]


def library(path: Path, *containers: Sequence[bytes], constant: bytes = bytes(64)) -> Path:
    """A library with these containers, one behind the other, a relocation to each, and a constant."""
    packed = [fatbin.pack(entries) for entries in containers]
    paths = [sum(map(len, packed[:number])) for number in range(len(packed))]
    code = b"".join(packed)
    relocations = b"".join(
        struct.pack("<QQQ", 0x500000 + 24 * number + 8, 8, ADDRESS + place) for number, place in enumerate(paths)
    )
    image = bytearray(
        fakeelf.elf(
            fakeelf.Part(name=".nv_fatbin", data=code + bytes(ROOM - len(code))),
            fakeelf.Part(name=".rela.dyn", data=relocations, kind=4, entry_size=24),
            fakeelf.Part(name=".rodata", data=constant),
            fakeelf.Part(name=".symtab", data=bytes(range(48)), kind=2, link=5, entry_size=24),
            fakeelf.Part(name=".strtab", data=b"\0name\0", kind=fakeelf.SHT_STRTAB),
        )
    )
    path.write_bytes(image)
    with path.open("rb") as stream:
        for section in elf.sections(stream):
            address = {".nv_fatbin": ADDRESS, ".rela.dyn": 0x400000, ".rodata": 0x600000}.get(section.name, 0)
            struct.pack_into("<Q", image, section.header + 16, address)  # sh_addr
    path.write_bytes(image)
    return path


def section(path: Path, name: str) -> elf.Section:
    with path.open("rb") as stream:
        return next(part for part in elf.sections(stream) if part.name == name)


@pytest.fixture
def good(tmp_path: Path) -> Retargeted:
    """An official library of two containers, and one that was made of it well."""
    return Retargeted(
        original=library(tmp_path / "official.so", official(), official()),
        patched=library(tmp_path / "lib.so", retargeted(), retargeted()),
        archs=PROMISED,
    )


def with_containers(good: Retargeted, *containers: Sequence[bytes]) -> Retargeted:
    """The same with another result."""
    return replace(good, patched=library(good.patched, *containers))


def pair(good: Retargeted) -> Pair:
    return Pair(library=good, tools=good.original.parent)


def untouched(good: Retargeted) -> str:
    both = pair(good)
    return unchanged(good, both.before, both.after)


def write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)


def test_what_is_right_passes_and_is_told(good: Retargeted) -> None:
    both = pair(good)
    assert gpu_gates.archs(both) == ".nv_fatbin: sm_80 in 2, sm_120 in 2, compute_90 in 2"
    assert gpu_gates.kept(both) == "4 images as in the official library, 0 of PTX made portable"
    assert gpu_gates.compiled(both) == "2 new images with 4 kernels, those of their PTX"
    assert gpu_gates.portable(both).startswith("2 pieces of PTX")
    assert "1 pointers follow their containers" in untouched(good)


def test_the_mark_of_portable_code_may_go_and_nothing_else(good: Retargeted, tmp_path: Path) -> None:
    tied = replace(good, original=library(tmp_path / "official.so", official(target=b"sm_90a")))
    assert gpu_gates.kept(pair(with_containers(tied, retargeted()))).endswith("1 of PTX made portable")
    changed = [*retargeted()[:2], entry("compute_90", ptx(b"add", b"other"))]
    with pytest.raises(RetargetGateError, match=r"compute_90 at byte .* is not the official image"):
        gpu_gates.kept(pair(with_containers(tied, changed)))


def test_code_that_one_gpu_alone_can_run_is_not_left(good: Retargeted) -> None:
    for mark in (b"sm_90a", b"sm_100f"):
        with pytest.raises(RetargetGateError, match=f"has `.target {mark.decode()}`"):
            gpu_gates.portable(pair(with_containers(good, retargeted(target=mark), retargeted())))


def test_a_kept_image_that_changed_is_named(good: Retargeted) -> None:
    _, new, text = retargeted()
    other = [entry("sm_80", cubin(b"add", b"sub", arch=80)), new, text]
    with pytest.raises(RetargetGateError, match=r"sm_80 at byte [\d,]+ \(.nv_fatbin\) is not the official image"):
        gpu_gates.kept(pair(with_containers(good, retargeted(), other)))


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([retargeted()[0], retargeted()[2]], "sm_80, compute_90"),
        ([official()[0], *retargeted()], "sm_60, sm_80, sm_120, compute_90"),
        ([*retargeted(), retargeted()[1]], "sm_80, sm_120, compute_90, sm_120"),
        (retargeted()[:2], "sm_80, sm_120"),
    ],
    ids=["missing", "extra", "twice", "no portable code"],
)
def test_other_archs_than_promised_are_named(good: Retargeted, entries: list[bytes], found: str) -> None:
    with pytest.raises(RetargetGateError, match=rf"has {found}; promised is sm_80, sm_120, compute_90"):
        gpu_gates.archs(pair(with_containers(good, retargeted(), entries)))


def test_a_container_that_is_gone_is_noticed(good: Retargeted) -> None:
    with pytest.raises(RetargetGateError, match="has 1 containers; the official one has 2"):
        gpu_gates.archs(pair(with_containers(good, retargeted())))


def test_what_has_no_portable_code_keeps_what_was_promised_of_it(good: Retargeted, tmp_path: Path) -> None:
    lone = replace(good, original=library(tmp_path / "official.so", official()[:2]))
    assert gpu_gates.archs(pair(with_containers(lone, retargeted()[:1]))) == ".nv_fatbin: sm_80 in 1"
    nothing_promised = replace(lone, archs={".nv_fatbin": ("sm_120",)})
    assert gpu_gates.archs(pair(with_containers(nothing_promised, official()[:2]))).count("in 1") == 2


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (cubin(b"add", arch=120), "has 1 kernels, its source 2; `mul` is in one only"),
        (cubin(b"add", b"mul", b"new", arch=120), "`new` is in one only"),
        (cubin(*KERNELS, arch=90), "is for another processor: 90"),
        (fakeelf.elf(), "is for another processor: no GPU"),
        (b"no machine code at all ", "is not a cubin"),
    ],
)
def test_a_new_image_that_was_not_made_of_its_source_is_named(good: Retargeted, code: bytes, message: str) -> None:
    first, _, text = retargeted()
    changed = [first, entry("sm_120", code), text]
    with pytest.raises(RetargetGateError, match=message):
        gpu_gates.compiled(pair(with_containers(good, retargeted(), changed)))


def test_a_byte_outside_is_found(good: Retargeted) -> None:
    constant = section(good.patched, ".rodata").offset + 5
    write(good.patched, constant, b"\x01")
    with pytest.raises(RetargetGateError, match=f"byte {constant:,}: changed from 00 to 01, and nothing was declared"):
        untouched(good)


def test_declared_bytes_must_be_those_declared(good: Retargeted) -> None:
    constant = section(good.patched, ".rodata").offset
    edit = ByteEdit(what="", symbol="", distance=0, offset=constant, expected=bytes(2), replacement=b"\x01\x02")
    declared = replace(good, edits=(edit,))
    with pytest.raises(RetargetGateError, match="found 00 00, declared 01 02"):
        untouched(declared)
    write(good.patched, constant, b"\x01\x02")
    untouched(declared)


def test_a_pointer_that_does_not_follow_is_found(good: Retargeted) -> None:
    second = section(good.patched, ".rela.dyn").offset + 24 + 16
    write(good.patched, second, struct.pack("<Q", ADDRESS))
    with pytest.raises(RetargetGateError, match=f"byte {second:,}: found .* declared"):
        untouched(good)


def test_room_that_nothing_takes_must_be_empty(good: Retargeted) -> None:
    write(good.patched, section(good.patched, ".nv_fatbin").offset + ROOM - 1, b"\x01")
    with pytest.raises(RetargetGateError, match="found 01, declared 00"):
        untouched(good)


def test_symbol_tables_are_zeros_where_they_were_dropped_and_else_as_they_were(good: Retargeted) -> None:
    dropped = replace(good, symbols=False)
    with pytest.raises(RetargetGateError, match="declared 00"):
        untouched(dropped)
    for name in (".symtab", ".strtab"):
        part = section(good.original, name)
        write(good.patched, part.offset, bytes(part.size))
        write(good.patched, part.header, bytes(64))
    untouched(dropped)
    with pytest.raises(RetargetGateError, match="nothing was declared there"):
        untouched(good)


def test_a_library_that_was_cut_or_is_none_is_refused(good: Retargeted) -> None:
    before = pair(good).before
    good.patched.write_bytes(good.patched.read_bytes()[:-1])
    with pytest.raises(RetargetGateError, match=r"has [\d,]+ bytes; the official one"):
        unchanged(good, before, before)
    for path in (good.original, good.patched):
        path.write_bytes(b"\x7fELF" + bytes(100))
    with pytest.raises(RetargetGateError, match="cannot be compared"):
        unchanged(good, before, before)


@pytest.mark.parametrize("gate", [gpu_gates.kept, gpu_gates.compiled, gpu_gates.portable])
def test_a_container_that_cannot_be_read_is_an_error_of_the_project(
    good: Retargeted, gate: Callable[[Pair], str]
) -> None:
    with pytest.raises(FactoryError):
        gate(pair(with_containers(good, [*retargeted()[:2], b"\x07" * 80], retargeted())))


def test_what_a_line_promises_is_said_by_section() -> None:
    wanted = Retarget(archs=("70", "120"), generated=("120",), tools=("ptxas==1", "nvfatbin==1"), ptx="90")
    assert gpu_gates.promised(wanted) == {
        ".nv_fatbin": ("sm_70", "sm_120", "compute_90"),
        "__nv_relfatbin": ("sm_70", "sm_120", "compute_90"),
        ".rodata": ("sm_120", "compute_90"),
    }
    assert gpu_gates.promised(wanted.model_copy(update={"ptx": None}))[".rodata"] == ("sm_120",)
