"""Other GPU code in place: what stays keeps its bytes, pointers follow, and whatever is not known is refused."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpulibraries
import hunting
from fakeelf import ELF, PTX, Part, container, elf
from gpulibraries import ADDRESS, LZ4, RELATIVE, SHT_RELA, ZSTD, changed, kernels, machine_code, packed, ptx, usual
from tfwheel.config.schema import Retarget
from tfwheel.errors import BadWheelError, FactoryError
from tfwheel.gpu import fatbin
from tfwheel.gpu.elf import sections
from tfwheel.gpu.errors import FatbinError
from tfwheel.retarget import gpu_image, ptxas
from tfwheel.retarget.errors import (
    AlreadyRetargetedError,
    DoesNotFitError,
    NoGpuCodeError,
    RelocationError,
    UnknownArchError,
    UnknownLayoutError,
)
from tfwheel.retarget.rewrite import Report, retarget_library

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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


def test_archs_of_generated_code_are_taken_by_priority_as_long_as_there_is_room(tmp_path: Path) -> None:
    wanted = WANTED.model_copy(update={"generated": ("120", "70", "80"), "archs": ("70", "80", "90", "120")})
    _, after, report = retarget(tmp_path, usual(), wanted, sizes={"add": 300, "mul": 300})
    chosen = [name for name, _ in images(after, ".rodata")[0]]
    assert "sm_120" in chosen
    assert set(report.families["generated"].left_out) == {"70", "80"} - {name[3:] for name in chosen}


def test_what_is_left_out_says_how_much_was_lacking(tmp_path: Path) -> None:
    big = "".join(map(str, range(4000)))
    library = usual()
    made = compiler(tmp_path)
    kept = made.place_of(gpu_image.portable(ptx("mul")), "120")
    kept.write_bytes(packed(ELF, 120, b"\x7fELF" + big.encode()))
    path = library.write(tmp_path / "library.so")
    report = retarget_library(path, wanted=WANTED, compiler=made)
    (arch, lacking), *_ = report.families["generated"].left_out.items()
    kept_size, room = len(fatbin.tightened(kept.read_bytes())), len(library.generated[3])
    others = len(machine_code(70, "mul")) + len(packed(PTX, 90, ptx("mul"))) + fatbin.HEADER_SIZE
    assert (arch, lacking) == ("120", others + kept_size - room)


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
    assert (report.families["generated"].left_out, report.families["generated"].tightened) == ({}, 1)
    first, second = images(path.read_bytes(), ".rodata")
    assert dict(first)["sm_120"] == b"\x7fELF" + words
    assert machine_code(120, "mul") in path.read_bytes()
    assert [name for name, _ in first] == [name for name, _ in second] == ["sm_70", "sm_120", "compute_90"]


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


# --- refusals --------------------------------------------------------------------------------------------


def refused(folder: Path, library: Library | bytes, error: type[Exception], wanted: Retarget = WANTED) -> str:
    """The message of a refusal that left the file as it was."""
    path = folder / "library.so"
    path.write_bytes(library if isinstance(library, bytes) else library.to_bytes())
    before = path.read_bytes()
    made = compiler(folder)
    with pytest.raises(error) as caught:
        retarget_library(path, wanted=wanted, compiler=made)
    assert path.read_bytes() == before
    return str(caught.value)


def test_a_library_without_containers(tmp_path: Path) -> None:
    assert "library.so has no GPU code" in refused(tmp_path, elf(), NoGpuCodeError)
    assert "library.so has no GPU code" in refused(tmp_path, gpulibraries.Library(), NoGpuCodeError)


def test_what_is_no_library(tmp_path: Path) -> None:
    assert "not a whole ELF file" in refused(tmp_path, b"PK\x03\x04", BadWheelError)


def test_a_library_for_another_machine(tmp_path: Path) -> None:
    data = bytearray(usual().to_bytes())
    struct.pack_into("<H", data, 18, 183)  # EM_AARCH64
    assert "not a 64-bit library for x86-64" in refused(tmp_path, bytes(data), UnknownLayoutError)


def test_a_truncated_section(tmp_path: Path) -> None:
    data = bytearray(usual().to_bytes())
    (headers,) = struct.unpack_from("<Q", data, 40)
    struct.pack_into("<Q", data, headers + 4 * 64 + 32, 1 << 30)
    assert "section 4, .nv_fatbin, extends to byte" in refused(tmp_path, bytes(data), BadWheelError)


def with_header(library: Library, section: int, field: int, value: int) -> bytes:
    """The library with another number in a section header: its address is at 16, its offset at 24, its size at 32."""
    data = bytearray(library.to_bytes())
    (headers,) = struct.unpack_from("<Q", data, 40)
    struct.pack_into("<Q", data, headers + 64 * section + field, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("section", "size", "words"),
    [
        (1, 23, ".dynsym has 23 bytes, and its entries have 24 each"),
        (2, 95, ".rela.dyn has 95 bytes, and its entries have 24 each"),
        (6, 84, ".nvFatBinSegment has 84 bytes, so its last wrapper is cut"),
        (3, 1900, ".rodata and .nv_fatbin share bytes"),
    ],
)
def test_tables_that_are_cut_or_go_on_too_long(tmp_path: Path, section: int, size: int, words: str) -> None:
    assert words in refused(tmp_path, with_header(usual(), section, 32, size), UnknownLayoutError)


@pytest.mark.parametrize(("field", "value"), [(24, 1 << 62), (32, 1 << 62), (16, (1 << 64) - 1), (24, (1 << 64) - 1)])
def test_numbers_that_no_file_has_room_for(tmp_path: Path, field: int, value: int) -> None:
    assert "not a whole ELF file" in refused(tmp_path, with_header(usual(), 4, field, value), BadWheelError)


def test_two_sections_of_one_name(tmp_path: Path) -> None:
    library = changed(extra=[Part(name=".rodata", data=b"more", address=10 << 20)])
    assert "two sections are called '.rodata'" in refused(tmp_path, library, BadWheelError)


def test_a_wrapper_that_stores_another_address(tmp_path: Path) -> None:
    data = bytearray(changed(stored=True).to_bytes())
    at = data.index(struct.pack("<I", gpulibraries.WRAPPER_MAGIC)) + 8
    struct.pack_into("<Q", data, at, ADDRESS[".nv_fatbin"] + 8)
    assert "where the loader puts 0x400000" in refused(tmp_path, bytes(data), UnknownLayoutError)


def test_a_tail_that_is_not_empty(tmp_path: Path) -> None:
    data = bytearray(changed(slack=64).to_bytes())
    (section,) = (one for one in sections(io.BytesIO(data)) if one.name == ".nv_fatbin")
    assert "bytes of .nv_fatbin are empty" in refused(tmp_path, bytes(data), AlreadyRetargetedError)
    data[section.offset + section.size - 1] = 1
    assert "the last 64 bytes of .nv_fatbin, from byte" in refused(tmp_path, bytes(data), UnknownLayoutError)


def test_an_image_that_says_it_unpacks_to_more_than_it_can(tmp_path: Path) -> None:
    entry = bytearray(packed(ELF, 80, bytes(4000)))
    (packed_size,) = struct.unpack_from("<I", entry, 16)
    struct.pack_into("<Q", entry, 56, 255 * packed_size + 1)
    assert "bytes compressed" in refused(tmp_path, changed(movable=[container(bytes(entry))]), FatbinError)


def test_packed_relocations(tmp_path: Path) -> None:
    library = changed(extra=[Part(name=".relr.dyn", data=bytes(8), kind=19, address=10 << 20, entry_size=8)])
    assert ".relr.dyn" in refused(tmp_path, library, UnknownLayoutError)


@pytest.mark.parametrize("family", ["movable", "generated", "relocatable"])
def test_containers_of_another_version(tmp_path: Path, family: str) -> None:
    newer = container(machine_code(80, "x"), version=2)
    assert "container version 2" in refused(tmp_path, changed(**{family: [newer]}), FatbinError)


@pytest.mark.parametrize("family", ["movable", "generated"])
def test_entries_of_another_kind(tmp_path: Path, family: str) -> None:
    odd = container(packed(8, 80, b"LTO IR"))
    assert "entry of kind 8" in refused(tmp_path, changed(**{family: [odd]}), FatbinError)


@pytest.mark.parametrize("family", ["movable", "generated"])
@pytest.mark.parametrize("flags", [ZSTD, LZ4 | 1 << 20, 0x11])
def test_another_compression(tmp_path: Path, family: str, flags: int) -> None:
    odd = container(packed(ELF, 80, b"code" * 99, flags=flags))
    assert f"flags {flags:#x}" in refused(tmp_path, changed(**{family: [odd]}), FatbinError)


def test_a_relocation_into_the_middle_of_a_container(tmp_path: Path) -> None:
    middle = ADDRESS[".nv_fatbin"] + 40
    library = changed(relocations=[(ADDRESS[".nvFatBinSegment"] + 8, RELATIVE, middle)])
    assert f"points to the middle of a container (address {middle:#x})" in refused(tmp_path, library, RelocationError)


def test_a_relocation_into_the_middle_of_a_generated_container(tmp_path: Path) -> None:
    middle = ADDRESS[".rodata"] + 24 + 100
    library = changed(relocations=[(ADDRESS[".rodata"], RELATIVE, middle)])
    assert "the middle of a container" in refused(tmp_path, library, RelocationError)


def test_a_relocation_to_the_start_of_a_generated_container_is_none_of_our_business(tmp_path: Path) -> None:
    library = changed(relocations=[(16 << 20, RELATIVE, ADDRESS[".rodata"] + 24)])
    retarget(tmp_path, library)


def test_a_pointer_that_is_not_a_wrappers(tmp_path: Path) -> None:
    library = changed(relocations=[(16 << 20, RELATIVE, ADDRESS[".nv_fatbin"])])
    assert "at address 0x1000000 is not a wrapper's" in refused(tmp_path, library, RelocationError)
    library = changed(relocations=[(ADDRESS[".nvFatBinSegment"] + 16, RELATIVE, ADDRESS[".nv_fatbin"])])
    assert "is not a wrapper's" in refused(tmp_path, library, RelocationError)


def test_a_pointer_of_another_type(tmp_path: Path) -> None:
    library = changed(relocations=[(ADDRESS[".nvFatBinSegment"] + 8, 1 << 32 | 1, ADDRESS[".nv_fatbin"])])
    assert "by a relocation of type 0x100000001" in refused(tmp_path, library, RelocationError)


def test_a_relocation_that_changes_the_code_itself(tmp_path: Path) -> None:
    library = changed(relocations=[(ADDRESS[".nv_fatbin"] + 8, RELATIVE, 5)])
    assert "changes .nv_fatbin itself" in refused(tmp_path, library, RelocationError)


def test_a_symbol_that_others_may_link_to(tmp_path: Path) -> None:
    library = changed(symbols=[ADDRESS[".nv_fatbin"] + 16])
    assert "a symbol is in it" in refused(tmp_path, library, RelocationError)


def test_a_container_that_no_wrapper_points_to(tmp_path: Path) -> None:
    assert "no relocation points to the container" in refused(tmp_path, changed(wrapped=[0, 2]), RelocationError)


@pytest.mark.parametrize("wrapper", [(0x466243B2, 1), (gpulibraries.WRAPPER_MAGIC, 3)])
def test_wrappers_of_another_kind(tmp_path: Path, wrapper: tuple[int, int]) -> None:
    assert f"version {wrapper[1]}" in refused(tmp_path, changed(wrapper=wrapper), UnknownLayoutError)


def test_wrappers_after_device_linking_are_known(tmp_path: Path) -> None:
    retarget(tmp_path, changed(wrapper=(gpulibraries.WRAPPER_MAGIC, 2)))


def test_gaps_between_containers(tmp_path: Path) -> None:
    library = changed(movable=[bytes(16), *usual().movable], wrapped=[1, 2, 3])
    assert "16 bytes before byte" in refused(tmp_path, library, UnknownLayoutError)


def test_a_library_that_was_retargeted_before(tmp_path: Path) -> None:
    _, after, _ = retarget(tmp_path, usual())
    assert "was rewritten before" in refused(tmp_path, after, AlreadyRetargetedError)


def test_a_library_that_has_what_is_wanted(tmp_path: Path) -> None:
    library = gpulibraries.Library(movable=[kernels("matmul", (70, 80))])
    wanted = Retarget(archs=("70", "80"), generated=("70",), tools=TOOLS, ptx="90")
    assert "exactly the GPU code that the line asks for" in refused(tmp_path, library, AlreadyRetargetedError, wanted)


def test_archs_older_than_the_portable_code(tmp_path: Path) -> None:
    message = refused(tmp_path, usual(), UnknownArchError, WANTED.model_copy(update={"archs": ("70", "75", "120")}))
    assert "no SASS for 75, and PTX only from 90 on; it has 60, 70, 80, 90" in message


def test_archs_that_do_not_fit_say_by_how_much_and_what_to_drop(tmp_path: Path) -> None:
    wanted = WANTED.model_copy(update={"archs": ("60", "70", "80", "90", "120")})
    message = refused(tmp_path, usual(), DoesNotFitError, wanted)
    named = ("matmul", 900), ("conv", 300), ("reduce", 600)
    old = {arch: [machine_code(arch, name, size) for name, size in named] for arch in (60, 70, 80, 90)}
    old[0] = [packed(PTX, 90, ptx(name)) for name, _ in named]
    saved = sum(len(raw) - len(fatbin.tightened(raw)) for raws in old.values() for raw in raws)
    over = sum(len(fatbin.tightened(machine_code(120, name))) for name, _ in named) - saved
    assert f"would need {over:,} more (bytes by arch: sm_60 " in message
    assert "dropping " in message


def test_generated_code_for_which_there_is_no_room_at_all(tmp_path: Path) -> None:
    big = "".join(map(str, range(3000))).encode()
    tight = container(packed(PTX, 90, ptx("add")))
    made = compiler(tmp_path)
    made.place_of(gpu_image.portable(ptx("add")), "120").write_bytes(packed(ELF, 120, big))
    path = changed(generated=[tight]).write(tmp_path / "library.so")
    with pytest.raises(DoesNotFitError, match="no room for any of 120"):
        retarget_library(path, wanted=WANTED.model_copy(update={"generated": ("120",)}), compiler=made)


@settings(max_examples=60)
@given(position=st.integers(0, len(usual().to_bytes()) - 1), value=st.integers(0, 255))
def test_one_wrong_byte_gives_a_library_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    data = bytearray(usual().to_bytes())
    data[position] = value
    wanted = Retarget(archs=("70",), generated=("70",), tools=TOOLS)
    folder = tmp_path_factory.mktemp("broken")
    path = folder / "library.so"
    path.write_bytes(data)
    try:
        retarget_library(path, wanted=wanted, compiler=compiler(folder))
    except FactoryError:
        assert path.read_bytes() == data
    else:
        assert path.stat().st_size == len(data)


def test_addends_of_all_tables_are_looked_at(tmp_path: Path) -> None:
    table = struct.pack("<QQQ", ADDRESS[".nvFatBinSegment"] + 8, RELATIVE, ADDRESS[".nv_fatbin"] + 1)
    library = changed(extra=[Part(name=".rela.plt", data=table, kind=SHT_RELA, address=10 << 20, entry_size=24)])
    assert "the middle of a container" in refused(tmp_path, library, RelocationError)


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
