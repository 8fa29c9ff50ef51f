"""Other GPU code in place: what stays keeps its bytes, and pointers follow."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hunting
from fakeelf import ELF, PTX, container
from gpulibraries import ADDRESS, LZ4, changed, kernels, machine_code, packed, ptx, usual
from retargeting import MODULES, TOOLS, WANTED, compiler, retarget
from tfwheel.config.schema import Retarget
from tfwheel.gpu import fatbin
from tfwheel.gpu.elf import sections
from tfwheel.gpu.errors import FatbinError
from tfwheel.retarget import gpu_image
from tfwheel.retarget.errors import DoesNotFitError
from tfwheel.retarget.rewrite import retarget_library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def images(data: bytes, section: str) -> list[list[tuple[str, bytes]]]:
    """Name and decompressed bytes of every image of a section, by container."""
    return [
        [(entry.name, fatbin.image(entry, data[entry.offset : entry.end])) for entry in found.entries]
        for found in fatbin.containers(data)
        if found.section == section
    ]


def spans(data: bytes) -> dict[str, tuple[int, int]]:
    """Offset and size of every section."""
    return {part.name: (part.offset, part.size) for part in sections(io.BytesIO(data))}


def pointers(data: bytes) -> list[int]:
    """The addends of all relocations."""
    offset, size = spans(data)[".rela.dyn"]
    return [addend for _, _, addend in struct.iter_unpack("<QQQ", data[offset : offset + size])]


def test_what_moves_is_laid_out_anew_and_found_again(tmp_path: Path) -> None:
    before, after, report = retarget(tmp_path, usual())
    assert [[name for name, _ in each] for each in images(after, ".nv_fatbin")] == [
        ["sm_70", "sm_80", "sm_120", "compute_90"]
    ] * 3
    offset, _ = spans(after)[".nv_fatbin"]
    found = [
        each.offset - offset + ADDRESS[".nv_fatbin"]
        for each in fatbin.containers(after)
        if each.section == ".nv_fatbin"
    ]
    assert pointers(after)[:3] == found
    assert pointers(after)[3:] == pointers(before)[3:]
    assert report.pointers == sum(new != old for new, old in zip(pointers(after), pointers(before), strict=True)) > 0


def test_kept_images_keep_their_bytes_and_new_ones_are_those_of_their_module(tmp_path: Path) -> None:
    before, after, _ = retarget(tmp_path, usual())
    for old, new, name in zip(images(before, ".nv_fatbin"), images(after, ".nv_fatbin"), MODULES, strict=False):
        kept = dict(old)
        assert [image for image in new if image[0] != "sm_120"] == [
            (arch, kept[arch]) for arch in ("sm_70", "sm_80", "compute_90")
        ]
        assert dict(new)["sm_120"].startswith(f"\x7fELF{name} for 120".encode())


def test_kept_entries_are_copied_with_their_headers(tmp_path: Path) -> None:
    _, after, _ = retarget(tmp_path, usual())
    assert machine_code(80, "conv", 300) in after
    assert packed(PTX, 90, ptx("conv")) in after


def test_generated_containers_stay_where_they_are_with_zeros_behind(tmp_path: Path) -> None:
    before, after, report = retarget(tmp_path, usual())
    old = [each for each in fatbin.containers(before) if each.section == ".rodata"]
    new = [each for each in fatbin.containers(after) if each.section == ".rodata"]
    assert [each.offset for each in new] == [each.offset for each in old]
    assert [[name for name, _ in each] for each in images(after, ".rodata")] == [["sm_70", "sm_120", "compute_90"]] * 2
    for was, now in zip(old, new, strict=True):
        rest = after[now.offset + now.size : was.offset + was.size]
        assert rest == bytes(len(rest))
    assert report.families["generated"].new == {"sm_120": 2}


def test_no_other_byte_changes(tmp_path: Path) -> None:
    before, after, _ = retarget(tmp_path, usual())
    assert len(after) == len(before)
    table = spans(before)
    free = [spans(before)[".nv_fatbin"]]
    free += [(table[".rela.dyn"][0] + 24 * number + 16, 8) for number in range(3)]
    free += [(each.offset, each.size) for each in fatbin.containers(before) if each.section == ".rodata"]
    for offset, size in free:
        before = before[:offset] + bytes(size) + before[offset + size :]
        after = after[:offset] + bytes(size) + after[offset + size :]
    assert after == before


def test_the_report_counts_what_was_and_what_is(tmp_path: Path) -> None:
    _, after, report = retarget(tmp_path, usual())
    movable = report.families["fatbin"]
    assert movable.before == {"sm_60": 3, "sm_70": 3, "sm_80": 3, "sm_90": 3, "compute_90": 3}
    assert movable.after == {"sm_70": 3, "sm_80": 3, "sm_120": 3, "compute_90": 3}
    assert (movable.new, movable.without_source) == ({"sm_120": 3}, 0)
    assert movable.room == spans(after)[".nv_fatbin"][1]
    assert movable.used == sum(each.size for each in fatbin.containers(after) if each.section == ".nv_fatbin")
    assert report.families["relocatable"].after == {"compute_90": 1}
    assert (report.library, report.symbols, report.tools) == ("library.so", True, TOOLS)


def test_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    _, first, _ = retarget(tmp_path, usual())
    _, second, _ = retarget(tmp_path, usual())
    assert first == second


def test_addresses_that_stand_in_the_wrappers_too_follow(tmp_path: Path) -> None:
    _, after, _ = retarget(tmp_path, changed(stored=True))
    offset, size = spans(after)[".nvFatBinSegment"]
    stored = [address for _, _, address, _ in struct.iter_unpack("<IIQQ", after[offset : offset + size])]
    assert stored == pointers(after)


def test_a_container_without_portable_code_keeps_what_is_wanted_of_its_own(tmp_path: Path) -> None:
    library = changed(movable=[*usual().movable, container(*(machine_code(arch, "nccl") for arch in (60, 70, 90)))])
    _, after, report = retarget(tmp_path, library)
    assert [name for name, _ in images(after, ".nv_fatbin")[-1]] == ["sm_70"]
    assert report.families["fatbin"].without_source == 1


def test_a_container_that_would_be_empty_stays_as_it_is(tmp_path: Path) -> None:
    wanted = Retarget(archs=("70",), generated=("70",), tools=TOOLS)
    _, after, _ = retarget(tmp_path, usual(), wanted)
    assert [[name for name, _ in each] for each in images(after, ".nv_fatbin")] == [["sm_70"]] * 3
    assert [[name for name, _ in each] for each in images(after, "__nv_relfatbin")] == [["compute_90"]]


def test_without_symbols_both_tables_and_their_headers_are_zeros(tmp_path: Path) -> None:
    before, after, report = retarget(tmp_path, usual(), WANTED.model_copy(update={"symbols": False}))
    assert b"names of symbols" not in after
    assert b"symbols symbols" not in after
    assert not report.symbols
    assert spans(after).keys() == spans(before).keys() - {".symtab", ".strtab"}
    for name, span in spans(after).items():
        assert span == spans(before)[name]


@pytest.mark.parametrize(("first", "second"), [("120", "70"), ("70", "120")])
def test_archs_without_room_in_generated_code_are_refused_and_what_fits_is_said(
    tmp_path: Path, first: str, second: str
) -> None:
    library = changed(generated=[kernels("add", (70,), size=900), kernels("mul", (70,), size=900)]).to_bytes()
    wanted = WANTED.model_copy(update={"generated": (first, second)})
    with pytest.raises(DoesNotFitError, match=rf"{second} has no room in 2 of 2 kernels, .*`generated`, {first} fits"):
        retarget(tmp_path, library, wanted, sizes={"add": 700, "mul": 700})
    assert (tmp_path / "library.so").read_bytes() == library


def test_one_kernel_without_room_is_enough_and_says_how_much_was_lacking(tmp_path: Path) -> None:
    big = "".join(map(str, range(4000)))
    library = usual()
    made = compiler(tmp_path)
    kept = made.place_of(gpu_image.portable(ptx("mul")), "120")
    kept.write_bytes(packed(ELF, 120, b"\x7fELF" + big.encode()))
    path = library.write(tmp_path / "library.so")
    with pytest.raises(DoesNotFitError) as caught:
        retarget_library(path, wanted=WANTED, compiler=made)
    kept_size, room = len(fatbin.tightened(kept.read_bytes())), len(library.generated[3])
    others = len(fatbin.tightened(machine_code(70, "mul"))) + len(fatbin.tightened(packed(PTX, 90, ptx("mul"))))
    lacking = others + kept_size + fatbin.HEADER_SIZE - room
    assert caught.value.message == (
        f"library.so: .rodata: 120 has no room in 1 of 2 kernels, which lack up to {lacking:,} bytes; "
        "in the order of `generated`, 70 fits"
    )
    assert "tools" in caught.value.remedy


def test_what_lacks_a_little_room_is_compressed_further(tmp_path: Path) -> None:
    words = b"".join(b"%d ," % (number * number % 997) for number in range(900))
    loose = packed(ELF, 120, b"\x7fELF" + words)
    tight = fatbin.tightened(loose)
    assert len(tight) < len(loose)
    old = fatbin.tightened(packed(ELF, 60, b"\x7fELF" + words))
    room = container(old, machine_code(70, "add"), packed(PTX, 90, ptx("add")))
    library = changed(generated=[room, kernels("mul", (60, 70, 80))])
    path = library.write(tmp_path / "library.so")
    made = compiler(tmp_path)
    made.place_of(gpu_image.portable(ptx("add")), "120").write_bytes(loose)
    report = retarget_library(path, wanted=WANTED, compiler=made)
    assert report.families["generated"].tightened == 1
    first, second = images(path.read_bytes(), ".rodata")
    assert dict(first)["sm_120"] == b"\x7fELF" + words
    assert machine_code(120, "mul") in path.read_bytes()
    assert [name for name, _ in first] == [name for name, _ in second] == ["sm_70", "sm_120", "compute_90"]


def test_what_stays_in_generated_code_is_compressed_further_only_where_the_new_is_not_enough(tmp_path: Path) -> None:
    words = b"".join(b"%d ," % (number * number % 997) for number in range(900))
    kept, text = packed(ELF, 70, b"\x7fELF" + words), packed(PTX, 90, ptx("add"))
    new = fatbin.tightened(packed(ELF, 120, b"\x7fELF" + words))
    room = container(fatbin.tightened(packed(ELF, 60, b"\x7fELF" + words[:-200])), kept, text)
    assert len(fatbin.pack([fatbin.tightened(kept), new, text])) <= len(room) < len(fatbin.pack([kept, new, text]))
    path = changed(generated=[room, kernels("mul", (60, 70, 80))]).write(tmp_path / "library.so")
    made = compiler(tmp_path)
    made.place_of(gpu_image.portable(ptx("add")), "120").write_bytes(new)
    report = retarget_library(path, wanted=WANTED, compiler=made)
    assert report.families["generated"].tightened == 1
    after = path.read_bytes()
    assert dict(images(after, ".rodata")[0]) == {
        "sm_70": b"\x7fELF" + words,
        "sm_120": b"\x7fELF" + words,
        "compute_90": ptx("add"),
    }
    assert kept not in after
    assert machine_code(70, "mul") in after


def test_what_can_move_is_compressed_further_only_as_far_as_needed(tmp_path: Path) -> None:
    words = b"".join(b"%d ," % (number * number % 997) for number in range(900))
    loose = [packed(ELF, 120, b"\x7fELF" + words * times) for times in (1, 3, 2)]
    old = [packed(ELF, 60, bytes(8) + words * times) for times in (1, 3, 2)]
    old[1] = fatbin.tightened(old[1])
    movable = [
        container(entry, packed(PTX, 90, ptx(name)))
        for entry, name in zip(old, ("matmul", "conv", "reduce"), strict=True)
    ]
    made = compiler(tmp_path)
    for entry, name in zip(loose, ("matmul", "conv", "reduce"), strict=True):
        made.place_of(gpu_image.portable(ptx(name)), "120").write_bytes(entry)
    path = changed(movable=movable).write(tmp_path / "library.so")
    report = retarget_library(path, wanted=WANTED.model_copy(update={"archs": ("120",)}), compiler=made)
    assert report.families["fatbin"].tightened == 1
    assert loose[0] in path.read_bytes()
    assert loose[1] not in path.read_bytes()
    assert [dict(each)["sm_120"] for each in images(path.read_bytes(), ".nv_fatbin")] == [
        b"\x7fELF" + words * times for times in (1, 3, 2)
    ]


def test_what_is_kept_is_compressed_further_only_where_all_else_is_not_enough(tmp_path: Path) -> None:
    words = b"".join(b"%d ," % (number * number % 997) for number in range(900))
    new, kept = packed(ELF, 120, b"\x7fELF" + words), packed(ELF, 80, b"\x7fELF" + words * 4)
    text = packed(PTX, 90, ptx("matmul"))
    path = changed(movable=[container(fatbin.tightened(packed(ELF, 60, bytes(8) + words[:-400])), kept, text)]).write(
        tmp_path / "library.so"
    )
    before = images(path.read_bytes(), ".nv_fatbin")
    made = compiler(tmp_path)
    made.place_of(gpu_image.portable(ptx("matmul")), "120").write_bytes(new)
    report = retarget_library(path, wanted=WANTED.model_copy(update={"archs": ("80", "120")}), compiler=made)
    assert report.families["fatbin"].tightened == 2
    after = dict(images(path.read_bytes(), ".nv_fatbin")[0])
    assert after["sm_80"] == dict(before[0])["sm_80"]
    assert after["sm_120"] == b"\x7fELF" + words
    assert kept not in path.read_bytes()


def test_generated_code_for_one_gpu_alone_becomes_portable_and_else_stays_as_it_was(tmp_path: Path) -> None:
    tied = b"\n\t" + ptx("add", suffix=b"a") + b"\0"
    library = changed(generated=[kernels("add", (60, 70, 80), text=tied)])
    made = compiler(tmp_path)
    made.place_of(gpu_image.portable(tied), "120").parent.mkdir(parents=True, exist_ok=True)
    made.place_of(gpu_image.portable(tied), "120").write_bytes(machine_code(120, "add"))
    path = library.write(tmp_path / "library.so")
    report = retarget_library(path, wanted=WANTED, compiler=made)
    assert dict(images(path.read_bytes(), ".rodata")[0])["compute_90"] == tied.replace(b"sm_90a", b"sm_90")
    assert report.families["generated"].new == {"sm_120": 1, "compute_90": 1}


def test_an_image_is_put_only_into_an_entry_that_is_compressed() -> None:
    with pytest.raises(FatbinError, match="sm_80 is not compressed"):
        fatbin.with_image(machine_code(80, "x").replace(struct.pack("<Q", LZ4), struct.pack("<Q", 0x11)), b"other")


def test_an_entry_that_gets_no_smaller_stays() -> None:
    small = machine_code(80, "x", 12)
    assert fatbin.tightened(small) == small


def entries_of(archs: Sequence[int], names: Sequence[str]) -> list[bytes]:
    """Raw entries."""
    return [machine_code(arch, name) for arch in archs for name in names]


@given(
    archs=st.lists(st.sampled_from([60, 70, 75, 80, 120]), min_size=1, max_size=5),
    text=st.binary(min_size=1, max_size=500),
)
def test_a_container_survives_reading_and_writing(archs: list[int], text: bytes) -> None:
    raw = [*entries_of(archs, ["k"]), packed(PTX, 90, text)]
    data = fatbin.pack(raw)
    found = fatbin.parse(data)
    assert [data[entry.header : entry.end] for entry in found.entries] == raw
    assert fatbin.pack(data[entry.header : entry.end] for entry in found.entries) == data
    last = found.entries[-1]
    assert fatbin.image(last, data[last.offset : last.end]) == text


def test_hostile_libraries_are_rewritten_soundly_or_refused(tmp_path: Path) -> None:
    found = hunting.hunt("rewritten", tmp_path, seed=1, count=120)
    assert found["read"] > 10
    assert found["refused"] > 60
