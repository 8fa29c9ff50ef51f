"""The doctor's small reader of GPU code, beside the factory's own on the same libraries."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

import lz4.block
import pytest

from gpulibraries import Library, kernels, ptx
from tfwheel.doctor import fatbins
from tfwheel.gpu import code_inventory

if TYPE_CHECKING:
    from pathlib import Path

LIBRARIES = {
    "both": Library(
        movable=[kernels("a"), kernels("b")], generated=[kernels("c", (60, 80)), kernels("d", (60, 80, 89))]
    ),
    "tied": Library(generated=[kernels("c", text=ptx("c", suffix=b"a")), kernels("d", text=ptx("d", suffix=b"a"))]),
    "relocatable": Library(movable=[kernels("a"), kernels("b", (80,))], relocatable=[kernels("r")]),
    "constant": Library(movable=[kernels("a")], generated=[b"\x50\xed\x55\xba" + bytes(60)]),
    "none": Library(),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_it_agrees_with_the_factorys_reader(name: str, tmp_path: Path) -> None:
    path = LIBRARIES[name].write(tmp_path / "lib.so")
    wanted = {kind: list(images) for kind, images in code_inventory.read(path).by_kind.items()}
    assert fatbins.gpu_code_of(path) == wanted


def test_what_several_libraries_have_is_what_each_has() -> None:
    parts = [{"fatbin": ["sm_80", "compute_90"], "generated": ["sm_80"]}, {"fatbin": ["sm_75", "sm_80", "compute_90"]}]
    assert fatbins.common_code(parts) == {"fatbin": ["sm_80", "compute_90"], "generated": ["sm_80"]}
    assert fatbins.common_code([]) == {}


@pytest.mark.parametrize("seed", range(20))
def test_the_beginning_of_an_lz4_block_is_decompressed(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 -- not for secrets
    plain = b"".join(chance.choice([b"sm_90a ", b"x" * 300, bytes([chance.randrange(256)]) * 3]) for _ in range(400))
    block = lz4.block.compress(plain, store_size=False)
    assert fatbins.lz4_head(block)[: fatbins.PTX_HEAD] == plain[: fatbins.PTX_HEAD]
    assert plain.startswith(fatbins.lz4_head(block[: len(block) // 2])[:1])


def test_what_is_no_library_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "x.so"
    for data in (b"MZ", b"\x7fELF\x02\x01" + b"\xff" * 200, b"\x7fELF\x01\x01" + bytes(100)):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"ELF|sections"):
            fatbins.gpu_code_of(path)


def test_damaged_libraries_end_in_an_answer_or_a_value_error(tmp_path: Path) -> None:
    whole = bytearray(LIBRARIES["both"].write(tmp_path / "lib.so").read_bytes())
    chance, path = random.Random(1), tmp_path / "damaged.so"  # noqa: S311 -- not for secrets
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(1, len(data))])])
        with contextlib.suppress(ValueError):
            fatbins.gpu_code_of(path)


def elf(name_at: int, sections: int = 1) -> bytes:
    """A library whose sections all are the whole file, with their name at an offset into it."""
    names = b".nv_fatbin\0"
    start = 64 + len(names)
    header = fatbins.ELF_HEADER.pack(
        b"\x7fELF\x02\x01" + bytes(10), 3, 62, 1, 0, 0, start, 0, 64, 0, 0, 64, sections, 0
    )
    size = start + 64 * sections
    first = fatbins.ELF_SECTION.pack(0, 1, 0, 0, name_at, size - name_at if name_at < size else 0, 0, 0, 1, 0)
    rest = fatbins.ELF_SECTION.pack(0, 1, 0, 0, 0, size, 0, 0, 1, 0)
    return header + names + first + rest * (sections - 1)


def test_a_name_beyond_all_files_and_sections_on_each_other_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(elf(2**64 - 1))
    assert fatbins.gpu_code_of(path) == {}
    path.write_bytes(elf(64, 60_000))
    with pytest.raises(ValueError, match="on each other"):
        fatbins.gpu_code_of(path)
