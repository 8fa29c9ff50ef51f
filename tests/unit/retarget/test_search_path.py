"""The one byte that has pip's CUDA packages searched first: found by the rules of ELF, or refused."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from fakeelf import DT_NEEDED, DT_RPATH, DT_RUNPATH, Part, dynamic_elf, elf
from tfwheel.gpu.elf import dynamic
from tfwheel.retarget import search_path
from tfwheel.retarget.errors import SearchPathError

if TYPE_CHECKING:
    from pathlib import Path

PATH = "$ORIGIN/../nvidia/cuda_runtime/lib"


def library(folder: Path, *tags: tuple[int, str]) -> Path:
    """A library with these tags."""
    path = folder / "libtensorflow_framework.so.2"
    path.write_bytes(dynamic_elf(*tags))
    return path


def test_the_edit_turns_one_tag_into_the_other_and_leaves_the_path(tmp_path: Path) -> None:
    path = library(tmp_path, (DT_NEEDED, "libm.so.6"), (DT_RUNPATH, PATH))
    before = path.read_bytes()
    (edit,) = search_path.edits(path)
    assert path.read_bytes() == before
    assert (edit.symbol, edit.distance, edit.expected, edit.replacement) == ("_DYNAMIC", 16, b"\x1d", b"\x0f")
    assert struct.unpack_from("<Q", before, edit.offset) == (DT_RUNPATH,)
    after = before[: edit.offset] + edit.replacement + before[edit.offset + 1 :]
    path.write_bytes(after)
    with path.open("rb") as stream:
        found = dynamic(stream)
    assert (found.runpath, found.first, found.needed) == (PATH, True, ("libm.so.6",))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([], "has no search path"),
        ([(DT_NEEDED, "libm.so.6")], "has no search path"),
        ([(DT_RPATH, PATH)], "has DT_RPATH; one DT_RUNPATH alone"),
        ([(DT_RPATH, PATH), (DT_RUNPATH, PATH)], "has DT_RPATH, DT_RUNPATH; one"),
        ([(DT_RUNPATH, PATH), (DT_RUNPATH, PATH)], "has DT_RUNPATH, DT_RUNPATH; one"),
    ],
)
def test_any_other_library_is_refused(tmp_path: Path, tags: list[tuple[int, str]], words: str) -> None:
    with pytest.raises(SearchPathError, match=words):
        search_path.edits(library(tmp_path, *tags))


def test_what_stands_behind_the_end_of_the_section_is_not_a_tag(tmp_path: Path) -> None:
    rows = struct.pack("<6Q", 0, 0, DT_RUNPATH, 1, 0, 0)
    parts = [Part(name=".dynstr", data=b"\0x\0", kind=3), Part(name=".dynamic", data=rows, kind=6, link=1)]
    path = tmp_path / "x.so"
    path.write_bytes(elf(*parts))
    with pytest.raises(SearchPathError, match="no search path"):
        search_path.edits(path)


@pytest.mark.parametrize("keep", [0, 3, 64, 100])
def test_a_cut_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = library(tmp_path, (DT_RUNPATH, PATH))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SearchPathError, match=r"libtensorflow_framework\.so\.2 cannot be read as a library"):
        search_path.edits(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SearchPathError, match="cannot be read as a library"):
        search_path.edits(tmp_path / "x.so")
