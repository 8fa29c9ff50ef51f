"""Libraries that are not known through and through: each is refused, and stays as it was."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gpulibraries
from fakeelf import ELF, PTX, Part, container, elf
from gpulibraries import ADDRESS, LZ4, RELATIVE, SHT_RELA, ZSTD, changed, kernels, machine_code, packed, ptx, usual
from retargeting import TOOLS, WANTED, compiler, retarget
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
from tfwheel.retarget.rewrite import retarget_library
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    from gpulibraries import Library


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
    with pytest.raises(DoesNotFitError, match=r"120 has no room in 1 of 1 kernels, .*, nothing fits"):
        retarget_library(path, wanted=WANTED.model_copy(update={"generated": ("120",)}), compiler=made)


def no_ptxas(*_: object, **__: object) -> str:
    message = "ptxas refuses it"
    raise CommandError(message)


@settings(max_examples=60)
@given(position=st.integers(0, len(usual().to_bytes()) - 1), value=st.integers(0, 255))
@example(position=824, value=1)  # in PTX, which is to be compiled then
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
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ptxas, "run", no_ptxas)
            retarget_library(path, wanted=wanted, compiler=compiler(folder))
    except FactoryError:
        assert path.read_bytes() == data
    else:
        assert path.stat().st_size == len(data)


def test_addends_of_all_tables_are_looked_at(tmp_path: Path) -> None:
    table = struct.pack("<QQQ", ADDRESS[".nvFatBinSegment"] + 8, RELATIVE, ADDRESS[".nv_fatbin"] + 1)
    library = changed(extra=[Part(name=".rela.plt", data=table, kind=SHT_RELA, address=10 << 20, entry_size=24)])
    assert "the middle of a container" in refused(tmp_path, library, RelocationError)
