"""The gates that need no compiler to be tested: each refuses exactly what it is for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakeelf
from fakewheels import (
    FRAMEWORK,
    INFO,
    LINE,
    MANYLINUX,
    METADATA,
    OP_LIBRARY,
    PYWRAP,
    RULES,
    RUNPATH,
    VERSION,
    Declared,
    fake_final,
    members_of,
    target,
    write_wheel,
    write_zip,
)
from gates import ADDED, LABEL, changed, judge
from tfwheel.checks import wheel_gates
from tfwheel.checks.errors import (
    ContentsGateError,
    GraftGateError,
    MetadataGateError,
    PlatformGateError,
    RunpathGateError,
    SizeGateError,
)
from tfwheel.checks.opened_wheel import opened_ops
from tfwheel.errors import GateError
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path


def test_declared_changes_pass_the_contents_gate(base: Path, tmp_path: Path) -> None:
    declared = changed(tmp_path, base, {**ADDED, LABEL: b"BUILD_LABEL = 'x'\n", "tensorflow/__init__.py": None})
    assert judge(wheel_gates.contents, declared, base) == "8 files: 3 as in the official wheel, 5 declared"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"tensorflow/extra.py": b"1\n"},
            "holds what neither its base nor a declared change brings: tensorflow/extra.py",
        ),
        ({"tensorflow/__init__.py": None}, "lacks: tensorflow/__init__.py"),
        ({LABEL: b"BUILD_LABEL = '' \nOTHER = 1\n"}, f"differs from its base, undeclared, in: {LABEL}"),
        ({LABEL: b"BUILD_LABEL = ''\nOTHER = 2\n"}, f"differs from its base, undeclared, in: {LABEL}"),
        ({f"tensorflow/extra{number}.py": b"" for number in range(9)}, "extra4.py and 4 more"),
    ],
    ids=["added", "removed", "other size", "same size", "many"],
)
def test_an_undeclared_change_fails_the_contents_gate(
    base: Path, tmp_path: Path, changes: dict[str, bytes | None], words: str
) -> None:
    with pytest.raises(ContentsGateError, match=words.replace("(", r"\(")):
        judge(wheel_gates.contents, Declared(wheel=fake_final(tmp_path, base, changes)), base)


def test_a_declared_addition_that_is_missing_fails_the_contents_gate(base: Path, tmp_path: Path) -> None:
    declared = Declared(wheel=fake_final(tmp_path, base), added=("tfwheel_ops/__init__.py",))
    with pytest.raises(ContentsGateError, match=r"lacks: tfwheel_ops/__init__.py"):
        judge(wheel_gates.contents, declared, base)


def test_data_that_is_not_what_the_zip_directory_says_fails_the_contents_gate(base: Path, tmp_path: Path) -> None:
    wheel = fake_final(tmp_path, base)
    with WheelReader(wheel) as reader:
        place = reader.extent(LABEL).data
    data = bytearray(wheel.read_bytes())
    data[place] ^= 1
    wheel.write_bytes(data)
    with pytest.raises(ContentsGateError, match=f"differs from its base, undeclared, in: {LABEL}"):
        judge(wheel_gates.contents, Declared(wheel=wheel), base)


def test_another_hash_in_record_fails_the_contents_gate(base: Path, tmp_path: Path) -> None:
    wheel = fake_final(tmp_path, base)
    members = members_of(wheel)
    rows = members[f"{INFO}/RECORD"].splitlines(keepends=True)
    digest = next(row for row in rows if row.startswith(FRAMEWORK.encode())).split(b",")[1]
    members[f"{INFO}/RECORD"] = b"".join(
        row.replace(row.split(b",")[1], digest) if row.startswith(LABEL.encode()) else row for row in rows
    )
    write_zip(wheel, members)
    with pytest.raises(ContentsGateError, match=f"differs from its base, undeclared, in: {LABEL}"):
        judge(wheel_gates.contents, Declared(wheel=wheel), base)


def test_an_ops_wheel_may_not_bring_tensorflow(tmp_path: Path) -> None:
    members = {"tfwheel_ops/__init__.py": b"", "tensorflow/core.py": b""}
    wheel = write_wheel(tmp_path, members, name="tfwheel_ops", version=VERSION, tag=f"py3-none-{MANYLINUX}")
    with (
        opened_ops(wheel, target=target(), rules=RULES) as candidate,
        pytest.raises(ContentsGateError, match=r"tensorflow/core.py"),
    ):
        wheel_gates.contents(candidate)


def test_untouched_libraries_pass_the_runpath_gate(base: Path, tmp_path: Path) -> None:
    assert judge(wheel_gates.runpath, changed(tmp_path, base), base) == "2 libraries of TensorFlow as locked"


@pytest.mark.parametrize("data", [None, b"\x7fELF, other bytes"], ids=["gone", "altered"])
def test_a_library_changed_undeclared_fails_the_runpath_gate(base: Path, tmp_path: Path, data: bytes | None) -> None:
    declared = Declared(wheel=fake_final(tmp_path, base, {PYWRAP: data}))
    with pytest.raises(RunpathGateError, match=PYWRAP):
        judge(wheel_gates.runpath, declared, base)


def test_a_library_replaced_on_purpose_is_read_by_the_runpath_gate(base: Path, tmp_path: Path) -> None:
    same = changed(tmp_path / "same", base, {PYWRAP: fakeelf.dynamic_elf((fakeelf.DT_RUNPATH, RUNPATH))})
    assert judge(wheel_gates.runpath, same, base) == "2 libraries of TensorFlow as locked"


@pytest.mark.parametrize(
    ("tags", "words"),
    [([(fakeelf.DT_RUNPATH, "$ORIGIN")], r"has the RUNPATH \$ORIGIN; locked is"), ([], r"RUNPATH \(none\)")],
)
def test_a_library_that_lost_its_runpath_fails_the_runpath_gate(
    base: Path, tmp_path: Path, tags: list[tuple[int, str]], words: str
) -> None:
    declared = changed(tmp_path, base, {PYWRAP: fakeelf.dynamic_elf(*tags)})
    with pytest.raises(RunpathGateError, match=words):
        judge(wheel_gates.runpath, declared, base)


FIRST = target(replace(LINE, rpath=True))


def test_a_line_with_rpath_has_it_in_the_library_that_opens_cuda_and_no_other(base: Path, tmp_path: Path) -> None:
    rpath, other = (fakeelf.dynamic_elf((tag, RUNPATH)) for tag in (fakeelf.DT_RPATH, fakeelf.DT_RUNPATH))
    right = changed(tmp_path / "right", base, {FRAMEWORK: rpath})
    assert judge(wheel_gates.runpath, right, base, aim=FIRST) == (
        f"2 libraries of TensorFlow as locked, DT_RPATH in {FRAMEWORK}"
    )
    assert judge(wheel_gates.arch, right, base, aim=FIRST) == "no GPU code in 0 libraries of its own"
    for number, (changes, aim, words) in enumerate(
        [
            ({FRAMEWORK: rpath}, target(), f"`{FRAMEWORK}` has DT_RPATH; the line asks for DT_RUNPATH"),
            ({FRAMEWORK: other}, FIRST, f"`{FRAMEWORK}` has DT_RUNPATH; the line asks for DT_RPATH"),
            ({}, FIRST, f"`{FRAMEWORK}` is gone, or was changed undeclared"),
            ({FRAMEWORK: rpath, PYWRAP: rpath}, FIRST, f"`{PYWRAP}` has DT_RPATH; the line asks for DT_RUNPATH"),
        ]
    ):
        with pytest.raises(RunpathGateError, match=words):
            judge(wheel_gates.runpath, changed(tmp_path / str(number), base, dict(changes)), base, aim=aim)


def test_the_libraries_of_tensorflow_itself_pass_the_graft_gate(base: Path, tmp_path: Path) -> None:
    assert FRAMEWORK.endswith(RULES.exclude[0])
    assert judge(wheel_gates.graft, changed(tmp_path, base, {**ADDED}), base) == "copied in: no library"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tensorflow.libs/libgomp-a34b3233.so.1.0.0", "a repair copied `tensorflow.libs/libgomp"),
        ("tfwheel_ops/libcudart.so.12", r"must not be in a wheel \(`libcud\*`"),
        ("tfwheel_ops/libtensorflow_framework.so.2", r"`libtensorflow_framework.so.2` in repair.toml"),
    ],
)
def test_a_copied_library_fails_the_graft_gate(base: Path, tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(GraftGateError, match=words):
        judge(wheel_gates.graft, changed(tmp_path, base, {name: b"x"}), base)


def test_a_header_with_a_library_like_name_is_no_graft(base: Path, tmp_path: Path) -> None:
    judge(wheel_gates.graft, changed(tmp_path, base, {"tfwheel_ops/include/libcudacxx.h": b"x"}), base)


def test_tags_within_the_ceiling_pass_the_platform_gate(base: Path, tmp_path: Path) -> None:
    found = judge(wheel_gates.platform, changed(tmp_path, base), base)
    assert found == "manylinux_2_17_x86_64, ceiling manylinux_2_35_x86_64"


@pytest.mark.parametrize(
    ("platforms", "words"),
    [
        ("manylinux_2_36_x86_64", "needs manylinux_2_36_x86_64, and the ceiling is manylinux_2_35_x86_64"),
        ("linux_x86_64", "the ceiling is"),
        ("manylinux_2_17_aarch64", "not a manylinux wheel for x86_64"),
        ("musllinux_1_2_x86_64", "not a manylinux wheel"),
    ],
)
def test_other_tags_fail_the_platform_gate(base: Path, tmp_path: Path, platforms: str, words: str) -> None:
    with pytest.raises(PlatformGateError, match=words):
        judge(wheel_gates.platform, changed(tmp_path, base, tag=f"cp312-cp312-{platforms}"), base)


@pytest.mark.parametrize("version", ["GLIBC_2.17", "GLIBCXX_3.4.19", "TENSORFLOW_9"])
def test_a_library_that_needs_what_the_tag_promises_passes_the_platform_gate(
    base: Path, tmp_path: Path, version: str
) -> None:
    library = fakeelf.dynamic_elf(versions=("GLIBC_2.2.5", version))
    judge(wheel_gates.platform, changed(tmp_path, base, {OP_LIBRARY: library}), base)


@pytest.mark.parametrize("version", ["GLIBC_2.18", "GLIBCXX_3.4.20", "CXXABI_1.3.8"])
def test_a_library_that_needs_more_than_the_tag_promises_fails_the_platform_gate(
    base: Path, tmp_path: Path, version: str
) -> None:
    library = fakeelf.dynamic_elf(versions=("GLIBC_2.2.5", version))
    words = f"`{OP_LIBRARY}` needs manylinux_2_24_x86_64 for .*{version}.*; the file name says manylinux_2_17_x86_64"
    with pytest.raises(PlatformGateError, match=words):
        judge(wheel_gates.platform, changed(tmp_path, base, {OP_LIBRARY: library}), base)


def test_the_size_gate_takes_the_limit_and_no_byte_more(base: Path, tmp_path: Path) -> None:
    declared = changed(tmp_path, base)
    size = declared.wheel.stat().st_size
    assert judge(wheel_gates.size, declared, base, replace(RULES, max_bytes=size)).startswith(f"{size:,} bytes")
    with pytest.raises(SizeGateError, match=f"has {size:,} bytes; the limit is {size - 1:,}"):
        judge(wheel_gates.size, declared, base, replace(RULES, max_bytes=size - 1))


def meta(old: str, new: str) -> bytes:
    """METADATA of the merged wheel with one text replaced."""
    return METADATA.format(name="tensorflow", version=VERSION, extra="").replace(old, new).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (meta("Name: tensorflow", "Name: tensorflow-cpu"), "disagree on the project: tensorflow, tensorflow-cpu"),
        (meta(VERSION, "2.20.0"), "disagree on the version"),
        (meta("Requires-Python: >=3.9\n", ""), "Requires-Python is ``; the target is 3.12"),
        (meta(">=3.9", "<3.12"), "Requires-Python is `<3.12`; the target is 3.12"),
        (meta("Metadata-Version: 2.1", "Metadata-Version: 9.9"), "METADATA: .*metadata"),
        (meta("Summary: A", "Requires-Dist: numpy >=>1\nSummary: A"), "METADATA: .*requires-dist"),
        (meta("Summary: A", "Sumary: A"), "METADATA: .*sumary"),
        (meta("Summary: A", "Summary: \xe9").decode().encode("latin-1"), "METADATA: 'summary' has invalid data"),
    ],
)
def test_bad_metadata_fails_the_metadata_gate(base: Path, tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(MetadataGateError, match=words):
        judge(wheel_gates.metadata, changed(tmp_path, base, {f"{INFO}/METADATA": data}), base)


def test_tags_that_differ_inside_and_outside_fail_the_metadata_gate(base: Path, tmp_path: Path) -> None:
    wheel = b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux_2_17_x86_64\n"
    with pytest.raises(MetadataGateError, match="disagree on the tags"):
        judge(wheel_gates.metadata, changed(tmp_path, base, {f"{INFO}/WHEEL": wheel}), base)


@pytest.mark.parametrize("wheel", [b"\xff", b"Wheel-Version: 1.0\nTag: py3\n", b"Tag: a-b-c-d\n"])
def test_a_wheel_file_that_cannot_be_read_fails_the_metadata_gate(base: Path, tmp_path: Path, wheel: bytes) -> None:
    with pytest.raises(MetadataGateError, match="WHEEL cannot be read"):
        judge(wheel_gates.metadata, changed(tmp_path, base, {f"{INFO}/WHEEL": wheel}), base)


def test_a_wheel_for_another_python_fails_the_metadata_gate(base: Path, tmp_path: Path) -> None:
    with pytest.raises(MetadataGateError, match="disagree on the Python tag: cp312-cp312, cp313-cp313"):
        judge(wheel_gates.metadata, changed(tmp_path, base), base, aim=target(python="3.13"))


def test_a_renamed_file_fails_the_metadata_gate(base: Path, tmp_path: Path) -> None:
    wheel = fake_final(tmp_path, base)
    for name, words in {
        "tensorflow.whl": "Invalid wheel filename",
        wheel.name.replace("2.20.0", "2.21.0"): "the version",
    }.items():
        renamed = wheel.rename(tmp_path / name)
        with pytest.raises(MetadataGateError, match=words):
            judge(wheel_gates.metadata, Declared(wheel=renamed), base)
        wheel = renamed


def test_every_gate_has_an_error_of_its_own() -> None:
    errors = {error for error in GateError.__subclasses__() if error.__name__.endswith("GateError")}
    of_libraries = {"retarget"}  # gpu_gates.py
    assert {error.__name__.removesuffix("GateError").lower() for error in errors} == of_libraries | {
        gate.__name__ for gate in wheel_gates.GATES
    }
