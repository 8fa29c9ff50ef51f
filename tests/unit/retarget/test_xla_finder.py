"""XLA's ceiling is found in libraries of every kind that official wheels have, and nothing is guessed in others."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fakewheels
from fakeelf import SHT_STRTAB, SHT_SYMTAB, Part, elf
from tfwheel.errors import BadWheelError, FactoryError
from tfwheel.gpu.elf import SYMBOL
from tfwheel.retarget import xla_ceiling, xla_finder
from tfwheel.retarget.errors import XlaCeilingError

if TYPE_CHECKING:
    from pathlib import Path

DATA, TEXT = 0x10000, 0x21000  # addresses in memory
CONSTANT_AT, FUNCTION_AT, SIZE = 32, 16, 96  # in their sections; SIZE is of the function, in bytes
CONSTANT = f"_ZZN3xla3gpu5nvptx12_GLOBAL__N_121NVPTXGetTargetMachineEE23{xla_finder.CONSTANT}"
COMPILE = f"{xla_finder.COMPILE}B5cxx11EPN4llvm6ModuleE"
MAJOR, MINOR = bytes.fromhex("83bd58fcffff0c"), bytes.fromhex("83bd5cfcffff05")  # cmpl $12, -0x3a8(%rbp); $5, -0x3a4


def taking(at: int, register: int = 0x05) -> bytes:
    """The instruction at a distance from the function's beginning that takes the address of the constant."""
    distance = DATA + CONSTANT_AT - (TEXT + FUNCTION_AT + at + 7)
    return bytes([0x48, 0x8D, register]) + struct.pack("<i", distance)


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library with XLA's compiler as compilers make it, of which a test changes what it is about."""

    version: bytes = struct.pack("<3I", 12, 5, 0)
    processors: bytes = b"\0sm_90\0sm_120\0"
    code: dict[int, bytes] = field(default_factory=lambda: {4: taking(4), 20: MAJOR, 60: MINOR})
    symbols: tuple[str, ...] = ("first", CONSTANT, COMPILE)
    section: int = 1  # 0: another library defines the symbols

    def to_bytes(self) -> bytes:
        """The file."""
        body = bytearray(b"\x90" * SIZE)
        for at, words in self.code.items():
            body[at : at + len(words)] = words
        names = b"\0" + b"".join(name.encode() + b"\0" for name in self.symbols)
        places = {CONSTANT: (DATA + CONSTANT_AT, len(self.version)), COMPILE: (TEXT + FUNCTION_AT, SIZE)}
        table = b"".join(
            SYMBOL.pack(
                names.index(b"\0" + name.encode() + b"\0") + 1, 2, 0, self.section, *places.get(name, (DATA, 1))
            )
            for name in self.symbols
        )
        return elf(
            Part(name=".rodata", data=self.processors.ljust(CONSTANT_AT, b"\1") + self.version + b"\1", address=DATA),
            Part(name=".text", data=bytes(FUNCTION_AT) + bytes(body) + bytes(8), address=TEXT),
            Part(name=".symtab", data=bytes(24) + table, kind=SHT_SYMTAB, link=4, entry_size=24),
            Part(name=".strtab", data=names, kind=SHT_STRTAB),
        )


def find(folder: Path, library: Library, cuda: str = "12.8") -> dict[str, Any] | None:
    path = folder / "libtensorflow_cc.so.2"
    path.write_bytes(library.to_bytes())
    return xla_finder.find_in(path, cuda=cuda)


def test_what_is_found_passes_the_check_of_the_build_and_raises_the_version(tmp_path: Path) -> None:
    member = "tensorflow/libtensorflow_framework.so.2"  # where XLA is from 2.22 on
    members = {"tensorflow/libtensorflow_cc.so.2": Library(section=0).to_bytes(), member: Library().to_bytes()}
    wheel = fakewheels.write_wheel(tmp_path, members, name="tensorflow", version="2.22.0", tag="cp312-cp312-any")
    facts = xla_finder.find(wheel, tensorflow="2.22.0", cuda="12.8", work=tmp_path)
    assert facts["member"] == member
    (tmp_path / "2.22.0.toml").write_text(tomli_w.dumps(facts))
    library = tmp_path / "library"
    library.write_bytes(Library().to_bytes())
    constant, compared = xla_ceiling.edits(xla_ceiling.load(tmp_path, "2.22.0"), library, cuda="12.8")
    assert constant.what == "the CUDA version XLA was built with: {12, 5, 0} becomes {12, 8, 0}"
    assert compared.what == "the comparison of the minor version: cmpl $5, -0x3a4(%rbp) becomes cmpl $8"
    data = bytearray(library.read_bytes())
    for edit in (constant, compared):
        data[edit.offset : edit.offset + len(edit.expected)] = edit.replacement
    changed = [(old, new) for old, new in zip(library.read_bytes(), data, strict=True) if old != new]
    assert changed == [(5, 8), (5, 8)]
    library.write_bytes(data)
    assert xla_finder.find_in(library, cuda="12.8") == {
        "cuda": "12.8",
        "unneeded": "XLA was built with CUDA 12.8.0, which is not older than 12.8",
    }


@pytest.mark.parametrize(
    ("library", "found"),
    [
        (Library(processors=b"\0sm_90\0"), "unneeded"),  # 2.18
        (Library(processors=b"\0sm_90\0", version=struct.pack("<3Q", 12, 3, 0)), "unsupported"),  # 2.17
        (Library(processors=b"\0sm_90\0", symbols=("first", COMPILE)), "unsupported"),  # 2.16
    ],
)
def test_where_there_is_nothing_to_raise_the_reason_is_said(tmp_path: Path, library: Library, found: str) -> None:
    facts = find(tmp_path, library)
    assert facts is not None
    assert list(facts) == [found]
    whole = {"tensorflow": "2.17.1", "ptxas": "12.8", "measured": "in a test, by hand"} | facts
    (tmp_path / "2.17.1.toml").write_text(tomli_w.dumps(whole))
    ceiling = xla_ceiling.load(tmp_path, "2.17.1")
    assert xla_ceiling.edits(ceiling, tmp_path / "no library", cuda="12.8") == ()
    required = xla_ceiling.requirements(ceiling, [f'{xla_ceiling.NVCC}==12.3.107; extra == "and-cuda"'])
    assert len(required) == (found == "unneeded")


@pytest.mark.parametrize("library", [Library(symbols=("first",)), Library(section=0)])
def test_a_library_without_the_compiler_says_nothing(tmp_path: Path, library: Library) -> None:
    assert find(tmp_path, library) is None


@pytest.mark.parametrize(
    ("library", "cuda", "words"),
    [
        (Library(code={20: MAJOR, 60: MINOR}), "12.8", "no one instruction of"),
        (Library(code={4: taking(4), 12: taking(12, 0x0D), 20: MAJOR, 60: MINOR}), "12.8", "no one instruction of"),
        (Library(code={4: taking(4), 60: MINOR}), "12.8", "compares with CUDA 12.5 in 0 places"),
        (Library(code={20: MAJOR, 60: MINOR, 80: taking(80)}), "12.8", "compares with CUDA 12.5 in 0 places"),
        (Library(code={4: taking(4), 20: MAJOR, 40: MINOR, 60: MINOR}), "12.8", "in 2 places, not in one"),
        (
            Library(version=struct.pack("<3I", 11, 8, 0)),
            "12.8",
            "was built with CUDA 11.8 and cannot be raised to 12.8",
        ),
        (Library(version=struct.pack("<3I", 12, 4_000_000_000, 0)), "12.8", "holds no CUDA version"),
        (Library(version=b"\x0c"), "12.8", "holds no CUDA version"),
        (
            Library(code={4: taking(4), 20: b"\x83\xbd\xfc\xff\xff\x7f\x0c", 60: MINOR}),
            "12.8",
            "compares with CUDA 12.5 in 0 places",
        ),
        (Library(), "13.0", "was built with CUDA 12.5 and cannot be raised to 13.0"),
        (Library(), "12.200", "cannot be raised to 12.200"),
        (Library(symbols=("first", COMPILE)), "12.8", "0 symbols kCompileTimeCudaVersion"),
        (Library(symbols=("first", CONSTANT, "A" + CONSTANT, COMPILE)), "12.8", "2 symbols kCompileTimeCudaVersion"),
        (Library(symbols=("first", CONSTANT, COMPILE, COMPILE + "x")), "12.8", "2 symbols _ZN3xla3gpu"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, library: Library, cuda: str, words: str) -> None:
    with pytest.raises(XlaCeilingError, match=words.replace("(", r"\(")):
        find(tmp_path, library, cuda)


def test_a_wheel_without_xla_is_refused(tmp_path: Path) -> None:
    members = {"tensorflow/libtensorflow_cc.so.2": Library(symbols=("first",)).to_bytes()}
    wheel = fakewheels.write_wheel(tmp_path, members, name="tensorflow", version="2.20.0", tag="cp312-cp312-any")
    with pytest.raises(XlaCeilingError, match=r"no library of .* has XLA's compiler for GPUs") as caught:
        xla_finder.find(wheel, tensorflow="2.20.0", cuda="12.8", work=tmp_path)
    assert "Leave `xla` out" in str(caught.value.remedy)


def test_many_names_are_not_searched_for(tmp_path: Path) -> None:
    many = tuple(f"{COMPILE}{number}" for number in range(40))
    with pytest.raises(BadWheelError, match="more than 16 names of symbols have _ZN3xla3gpu5nvptx12CompileToPtx"):
        find(tmp_path, Library(symbols=("first", CONSTANT, *many)))


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "libtensorflow_cc.so.2"
    path.touch()
    with pytest.raises(XlaCeilingError, match="cannot be read as a library"):
        xla_finder.find_in(path, cuda="12.8")
    data = Library().to_bytes()
    for end in range(1, len(data), 37):
        path.write_bytes(data[:end])
        with pytest.raises(FactoryError):
            xla_finder.find_in(path, cuda="12.8")


@settings(max_examples=150)
@given(position=st.integers(0, len(Library().to_bytes()) - 1), value=st.integers(0, 255))
@example(position=0, value=0)
def test_one_wrong_byte_gives_facts_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    data = bytearray(Library().to_bytes())
    data[position] = value
    path = tmp_path_factory.mktemp("broken") / "library.so"
    path.write_bytes(data)
    try:
        found = xla_finder.find_in(path, cuda="12.8")
    except FactoryError:
        return
    for edit in (found or {}).get("edit", ()):
        expected = bytes.fromhex(edit["expected"])
        assert data[edit["offset"] : edit["offset"] + len(expected)] == expected
