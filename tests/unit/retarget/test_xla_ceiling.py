"""XLA's ceiling: the bytes that lift it are found twice and read before anything is written, or refused."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

import fakeelf
from tfwheel.config import build_config
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.gpu import elf
from tfwheel.retarget import xla_ceiling
from tfwheel.retarget.errors import XlaCeilingError
from tfwheel.wheel import core_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHIPPED = CONFIG_DIR / "xla"
VERSION, COMPARE = "kCompileTimeCudaVersion", "CompileToPtx"
CONSTANT, CODE = struct.pack("<3I", 12, 5, 0), bytes.fromhex("83bd5cfcffff05")
ADDRESSES = {".rodata": 0x10000, ".text": 0x21000}


def library(path: Path, *, symbols: tuple[str, ...] = (VERSION, COMPARE), code: bytes = CODE) -> Path:
    """A library that compares with a version, as XLA does: 8 bytes into a constant, 16 into a function."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in ("first", *symbols))
    addresses = {VERSION: ADDRESSES[".rodata"], COMPARE: ADDRESSES[".text"]}
    table = b"".join(
        elf.SYMBOL.pack(names.index(b"\0" + name.encode() + b"\0") + 1, 2, 0, 1, addresses[name], 64)
        for name in symbols
    )
    image = bytearray(
        fakeelf.elf(
            fakeelf.Part(name=".rodata", data=CONSTANT + bytes(20)),
            fakeelf.Part(name=".text", data=bytes(16) + code + bytes(9)),
            fakeelf.Part(name=".symtab", data=bytes(24) + table, kind=2, link=4, entry_size=24),
            fakeelf.Part(name=".strtab", data=names, kind=fakeelf.SHT_STRTAB),
        )
    )
    path.write_bytes(image)
    with path.open("rb") as stream:
        sections = elf.sections(stream)
    for section in sections:
        if section.name in ADDRESSES:
            struct.pack_into("<Q", image, section.header + 16, ADDRESSES[section.name])  # sh_addr
    path.write_bytes(image)
    return path


def place(path: Path, name: str) -> int:
    """Where a section starts."""
    with path.open("rb") as stream:
        return next(section.offset for section in elf.sections(stream) if section.name == name)


def data(path: Path, **changes: object) -> str:
    """A file of build_config/xla/ for a library made by `library`."""
    facts = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "symbol": COMPARE,
        "offset": place(path, ".text") + 16,
        "expected": CODE.hex(" "),
        "replacement": "83 bd 5c fc ff ff 08",
        "cuda": "12.8",
    } | changes
    return f"""
tensorflow = "2.20.0"
ptxas = "12.8"
measured = "measured by hand in a test"
cuda = "{facts["cuda"]}"
member = "tensorflow/libtensorflow_cc.so.2"
sha256 = "{facts["sha256"]}"

[[edit]]
what = "the constant of the version"
found = "by its symbol, in a test"
symbol = "{VERSION}"
distance = 0
offset = {place(path, ".rodata")}
expected = "{CONSTANT.hex()}"
replacement = "{struct.pack("<3I", 12, 8, 0).hex()}"

[[edit]]
what = "the comparison with the version"
found = "by its symbol, in a test"
symbol = "{facts["symbol"]}"
distance = 16
offset = {facts["offset"]}
expected = "{facts["expected"]}"
replacement = "{facts["replacement"]}"
"""


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., tuple[xla_ceiling.ByteEdit, ...]]:
    """The edits of a library under data with some changes."""

    def ask(path: Path, *, ask_for: str = "12.8", **changes: object) -> tuple[xla_ceiling.ByteEdit, ...]:
        (tmp_path / "2.20.0.toml").write_text(data(path, **changes))
        return xla_ceiling.edits(xla_ceiling.load(tmp_path, "2.20.0"), path, cuda=ask_for)

    return ask


Found = "Callable[..., tuple[xla_ceiling.ByteEdit, ...]]"


def test_the_edits_are_those_declared_and_the_library_stays_as_it_is(tmp_path: Path, found: Found) -> None:
    path = library(tmp_path / "lib.so")
    before = path.read_bytes()
    edits = found(path)
    assert [(edit.offset, edit.replacement) for edit in edits] == [
        (place(path, ".rodata"), struct.pack("<3I", 12, 8, 0)),
        (place(path, ".text") + 16, bytes.fromhex("83bd5cfcffff08")),
    ]
    assert path.read_bytes() == before


def test_another_library_is_refused_by_its_hash(tmp_path: Path, found: Found) -> None:
    path = library(tmp_path / "lib.so")
    with pytest.raises(XlaCeilingError, match=r"lib.so has sha256 [0-9a-f]{64}; the tensorflow/libtensorflow_cc"):
        found(path, sha256="0" * 64)


def test_other_bytes_than_expected_are_refused_and_shown(tmp_path: Path, found: Found) -> None:
    path = library(tmp_path / "lib.so", code=bytes.fromhex("83bd5cfcffff06"))
    with pytest.raises(XlaCeilingError, match="found 83 bd 5c fc ff ff 06, expected 83 bd 5c fc ff ff 05"):
        found(path)


def test_a_missing_symbol_is_refused(tmp_path: Path, found: Found) -> None:
    path = library(tmp_path / "lib.so", symbols=(VERSION,))
    with pytest.raises(XlaCeilingError, match="has 0 symbols CompileToPtx, not one"):
        found(path)


def test_a_symbol_that_leads_elsewhere_is_refused(tmp_path: Path, found: Found) -> None:
    path = library(tmp_path / "lib.so")
    with pytest.raises(XlaCeilingError, match=r"CompileToPtx leads to byte .* is declared"):
        found(path, offset=place(path, ".text") + 17)


@pytest.mark.parametrize("size", [0, 40, 200])
def test_a_cut_library_is_refused(tmp_path: Path, size: int) -> None:
    path = library(tmp_path / "lib.so")
    whole = data(path)
    path.write_bytes(path.read_bytes()[:size])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "2.20.0.toml").write_text(
        "\n".join(f'sha256 = "{sha256}"' if line.startswith("sha256") else line for line in whole.splitlines())
    )
    with pytest.raises(XlaCeilingError, match="cannot be read as a library"):
        xla_ceiling.edits(xla_ceiling.load(tmp_path, "2.20.0"), path, cuda="12.8")


def test_another_cuda_version_than_the_data_is_for_is_refused(tmp_path: Path, found: Found) -> None:
    with pytest.raises(XlaCeilingError, match=r"lifted to CUDA 12\.8, and 12\.9 is asked for") as caught:
        found(library(tmp_path / "lib.so"), ask_for="12.9")
    assert "lines.toml" in caught.value.remedy


def test_a_version_that_nobody_looked_at_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no data about XLA in TensorFlow 2\.19\.0") as caught:
        xla_ceiling.load(tmp_path, "2.19.0")
    assert "leave `xla` out" in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('replacement = "83 bd 5c fc ff ff"', "needs as many other bytes"),
        ('replacement = "83 bd 5c fc ff ff 05"', "needs as many other bytes"),
        ('tensorflow = "2.21.0"', "must be for TensorFlow 2.20.0"),
        ('cuda = ""', "not|cuda"),
        ('replacement = "zz zz"', "not bytes in hex"),
        ("distance = -1", "greater than or equal to 0"),
    ],
)
def test_malformed_data_is_refused(tmp_path: Path, line: str, message: str) -> None:
    key = line.partition(" =")[0]
    text = data(library(tmp_path / "lib.so")).splitlines()
    last = max(number for number, one in enumerate(text) if one.startswith(f"{key} ="))
    (tmp_path / "2.20.0.toml").write_text("\n".join([*text[:last], line, *text[last + 1 :]]))
    with pytest.raises(ConfigError, match=message):
        xla_ceiling.load(tmp_path, "2.20.0")


def test_what_needs_no_lift_says_why_and_is_left_alone(tmp_path: Path) -> None:
    ceiling = xla_ceiling.load(SHIPPED, "2.18.1")
    assert ceiling.unneeded
    assert xla_ceiling.edits(ceiling, tmp_path / "is not even read", cuda="12.8") == ()


def test_every_version_that_is_built_has_data() -> None:
    settings = build_config.load()
    versions = {base.version for base in settings.bases if base.project == "tensorflow"}
    for version in versions:
        ceiling = xla_ceiling.load(SHIPPED, version)
        assert (ceiling.tensorflow, ceiling.ptxas) == (version, "12.8")
        assert [bool(ceiling.unneeded), bool(ceiling.unsupported), bool(ceiling.edits)].count(True) == 1


@pytest.mark.parametrize("version", ["2.18.1", "2.20.0", "2.21.0"])
def test_the_extra_asks_for_a_ptxas_that_knows_blackwell(version: str) -> None:
    base = next(base for base in build_config.load().bases if base.version == version)
    (new,) = xla_ceiling.requirements(xla_ceiling.load(SHIPPED, version), base.requires_dist)
    assert str(Requirement(new).specifier) == "<13.0,>=12.8"
    assert core_metadata.identity(new) == (xla_ceiling.NVCC, "and-cuda")
    assert core_metadata.identity(new) in {core_metadata.identity(one) for one in base.requires_dist}


def test_a_wheel_that_does_not_name_ptxas_is_refused() -> None:
    with pytest.raises(XlaCeilingError, match="names nvidia-cuda-nvcc-cu12 0 times"):
        xla_ceiling.requirements(xla_ceiling.load(SHIPPED, "2.20.0"), ["numpy>=1"])
