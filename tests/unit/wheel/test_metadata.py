"""RECORD, METADATA, WHEEL and file names: edited exactly, refused when they are not what they must be."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfwheel.errors import BadWheelError
from tfwheel.wheel import metadata
from tfwheel.wheel.errors import IndexEntryError
from tfwheel.wheel.metadata import RecordRow

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "2.20.0+cu125.1"
TAG = "cp312-cp312-manylinux_2_17_x86_64"
FILE = f"tensorflow-{VERSION}-{TAG}.whl"
OWN = "demo-1.0.dist-info/RECORD"
HASH = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"


# --- RECORD ----------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name != OWN), st.binary(min_size=32, max_size=32)))
def test_record_is_read_as_it_was_written(digests: dict[str, bytes]) -> None:
    rows = {name: RecordRow(algorithm="sha256", digest=digest, size=len(name)) for name, digest in digests.items()}
    rows = {name: row for name, row in rows.items() if name.isprintable()}
    assert metadata.parse_record(metadata.format_record(rows.items(), OWN), OWN) == rows


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_record_may_end_its_lines_either_way(newline: str) -> None:
    data = newline.join([f'"a,b.py",{HASH},0', f"{OWN},,", ""]).encode()
    (name,) = metadata.parse_record(data, OWN)
    assert name == "a,b.py"


@pytest.mark.parametrize(
    "line",
    [
        "a.py,,",
        "a.py",
        f"a.py,{HASH},0,more",
        f"a.py,{HASH[:-1]},0",
        f"a.py,{HASH}A,0",
        f"a.py,{HASH[:20]}!{HASH[20:]},0",
        f"a.py,{HASH},x",
        f"a.py,{HASH},-1",
        f"a.py,{HASH.replace('sha256', 'sha1')},0",
        f"a.py,{HASH.replace('sha256', 'md5')},0",
        f"a.py,{HASH.replace('U', 'V')[:-1]}V,0",
        "a.py,sha256=ü,0",
        f"b.py,{HASH},0\nb.py,{HASH},0",
        f"a.py,{HASH}=,0",
        f"a.py,{HASH},٣",
        f"a.py,{HASH},{'9' * 5000}",
        f"a.py,{HASH},0\n{OWN},,",
        f"a.py,{HASH},0\r{OWN},,",
        f"a.py\x85,{HASH},0",
        f"a.py\u2028,{HASH},0",
        f"\ufeffa.py,{HASH},0",
        f"{OWN}.jws,,",
        f"a.py,{HASH},0\n",
    ],
)
def test_a_row_that_proves_nothing_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="RECORD"):
        metadata.parse_record(f"{line}\n{OWN},,\n".encode(), OWN)


@pytest.mark.parametrize("own", ["", f"{OWN},{HASH},0\n", f"{OWN},,7\n", f"./{OWN},,\n"])
def test_record_lists_itself_and_nothing_about_itself(own: str) -> None:
    with pytest.raises(ValueError, match="RECORD"):
        metadata.parse_record(f"a.py,{HASH},0\n{own}".encode(), OWN)


def test_a_size_may_be_missing() -> None:
    rows = metadata.parse_record(f"a.py,{HASH},\n{OWN},,\n".encode(), OWN)
    assert rows["a.py"].size is None
    assert metadata.format_record(rows.items(), OWN) == f"a.py,{HASH},\n{OWN},,\n".encode()


# --- WHEEL and names -------------------------------------------------------------------------------------


def test_wheel_gets_its_tags_and_its_generator() -> None:
    old = b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: a-b-c\nTag: a-b-d\n\n"
    new = b"Wheel-Version: 1.0\nGenerator: tfwheel\nRoot-Is-Purelib: false\nTag: cp312-cp312-e\n"
    assert metadata.edit_wheel(old, ["cp312-cp312-e"]) == new


@pytest.mark.parametrize(
    ("base", "ops", "expected"),
    [
        ("manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_24_x86_64", ("manylinux_2_24_x86_64",)),
        ("manylinux_2_27_x86_64", "manylinux_2_24_x86_64", ("manylinux_2_27_x86_64",)),
        ("manylinux_2_9_x86_64", "manylinux_2_24_x86_64", ("manylinux_2_24_x86_64",)),
        ("manylinux_2_17_x86_64", "manylinux2014_x86_64", ("manylinux_2_17_x86_64", "manylinux2014_x86_64")),
        ("manylinux2014_x86_64", "any", ("manylinux_2_17_x86_64", "manylinux2014_x86_64")),
        ("manylinux_2_17_x86_64", "manylinux1_x86_64", ("manylinux_2_17_x86_64", "manylinux2014_x86_64")),
        ("manylinux_2_17_x86_64", "manylinux_2_27_x86_64.manylinux_2_28_x86_64", ("manylinux_2_27_x86_64",)),
        ("manylinux_2_17_aarch64", "manylinux_2_28_aarch64", ("manylinux_2_28_aarch64",)),
    ],
)
def test_the_stricter_platform_wins(base: str, ops: str, expected: tuple[str, ...]) -> None:
    wheels = [f"tensorflow-2.20.0-cp312-cp312-{base}.whl", f"tfwheel_ops-1-py3-none-{ops}.whl"]
    assert metadata.stricter_platforms(wheels) == expected


@pytest.mark.parametrize(
    ("platforms", "reason"),
    [
        (["manylinux_2_17_x86_64", "linux_x86_64"], "not a manylinux wheel"),
        (["manylinux_2_17_x86_64", "macosx_14_0_arm64"], "not a manylinux wheel"),
        (["manylinux_2_17_x86_64", "manylinux_2_17_aarch64"], "one architecture"),
        (["any", "any"], "found none"),
    ],
)
def test_platforms_that_do_not_go_together_are_refused(platforms: list[str], reason: str) -> None:
    with pytest.raises(BadWheelError, match=reason):
        metadata.stricter_platforms([f"a-1-py3-none-{platform}.whl" for platform in platforms])


# --- what an index repeats ---------------------------------------------------------------------------------


def test_metadata_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / FILE
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"tensorflow-{VERSION}.dist-info/METADATA", bytes(metadata.LONGEST + 1))
    with pytest.raises(BadWheelError, match="16777217 bytes"):
        metadata.metadata_of(wheel)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_metadata_in_a_compression_that_wheels_lack_is_refused(tmp_path: Path, method: int) -> None:
    wheel = tmp_path / FILE
    with zipfile.ZipFile(wheel, "w", method) as archive:
        archive.writestr(f"tensorflow-{VERSION}.dist-info/METADATA", b"Name: tensorflow\n")
    with pytest.raises(BadWheelError, match="not compressed as in a wheel"):
        metadata.metadata_of(wheel)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_zip_is_no_wheel(tmp_path: Path, data: bytes) -> None:
    wheel = tmp_path / FILE
    wheel.write_bytes(data)
    with pytest.raises(BadWheelError, match="not a wheel"):
        metadata.metadata_of(wheel)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Name: tensorflow\nVersion: 2.20.0\n", "METADATA is for 'tensorflow' '2.20.0'"),
        (f"Name: keras\nVersion: {VERSION}\n", "METADATA is for 'keras'"),
        (f"Version: {VERSION}\n", "METADATA is for ''"),
        ("Name: tensorflow\n", "cannot be read"),
        ("", "cannot be read"),
        ("Name: tensorflow\nVersion: newest\n", "cannot be read"),
        (f"Name: tensorflow\nVersion: {VERSION}\nVersion: {VERSION}\n", "cannot be read"),
        (f"Name: tensorflow\nVersion: {VERSION}\nRequires-Python: three\n", "cannot be read"),
        (f"Name: tensorflow\nVersion: {VERSION}\nRequires-Dist: numpy >> 1\n", "cannot be read"),
        (f"\0\xff\nName: tensorflow\nVersion: {VERSION}\n", "cannot be read"),
        (f"Name: tensorflow\nVersion: {VERSION}\nSummary: \xff\n", "cannot be read: 'utf-8' codec"),
        (f"Name: tensorflow\nName: keras\nVersion: {VERSION}\n", "its header Name is there more than once"),
        (f"Name: tensorflow\nVersion: {VERSION}\nSummary: a\nSummary: b\n", "its header Summary is there more"),
        (f"Name: tensorflow\nVersion: {VERSION}\nRequires-Python: >=3\nRequires-Python: >=2\n", "Requires-Python"),
    ],
)
def test_metadata_that_an_installer_would_refuse_is_refused(text: str, said: str) -> None:
    with pytest.raises(IndexEntryError, match=said) as failure:
        metadata.facts_of(FILE, b"Metadata-Version: 2.1\n" + text.encode("latin-1") if text else b"")
    assert FILE in failure.value.message


def test_spelling_variants_of_a_name_are_one_name() -> None:
    facts = metadata.facts_of(f"tfwheel_ops-{VERSION}-{TAG}.whl", f"Name: TFWheel.ops\nVersion: {VERSION}\n".encode())
    assert (facts.project, facts.requires_python) == ("TFWheel.ops", "")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (f"tensorflow-1!2.20.0-{TAG}.whl", "because of `!`"),
        ("tensorflow-2.20.0.tar.gz", "wheel"),
        ("tensorflow-2.20.0.whl", "wheel"),
        (f"tensorflow-2.20.0 1-{TAG}.whl", "nvalid"),
        (f"tensorflow-2.20.0~1-{TAG}.whl", "nvalid"),
        (f"tensor:flow-2.20.0-{TAG}.whl", "nvalid"),
        (f"../tensorflow-2.20.0-{TAG}.whl", "nvalid"),
        (f"tensorflow-2.20.0-{TAG}(1).whl", "because of"),
        (f".tensorflow-2.20.0-{TAG}.whl", "because of `.`"),
        (f"tensörflow-2.20.0-{TAG}.whl", "because of `ö`"),
    ],
)
def test_a_name_that_cannot_be_served_is_refused(file: str, said: str) -> None:
    with pytest.raises(IndexEntryError, match=said):
        metadata.named_by(file)
