"""What the container's wheel is held to: the members and the GPU code of the native build."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakeelf
import fakewheels
from tfwheel.build import ops_in_container
from tfwheel.build.job import FinishedWheel
from tfwheel.checks.errors import ArchGateError, ContentsGateError
from tfwheel.config.errors import ConfigError
from tfwheel.config.ops_projects import OpsProject
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from pathlib import Path

TARGET = fakewheels.target()
INFO = f"tfwheel_ops-{fakewheels.VERSION}.dist-info"


def wheel(folder: Path, *archs: str, more: dict[str, bytes] | None = None) -> Path:
    """An ops wheel whose library has code for these GPUs."""
    code = fakeelf.container(*(fakeelf.entry(fakeelf.ELF, int(arch)) for arch in archs))
    library = fakeelf.elf(*([fakeelf.Part(name=".nv_fatbin", data=code)] if archs else []))
    members = {fakewheels.OP_LIBRARY: library, **(more or {})}
    tag = f"py3-none-{fakewheels.MANYLINUX}"
    return fakewheels.write_wheel(folder, members, name="tfwheel_ops", version=fakewheels.VERSION, tag=tag)


def native(path: Path, *, version: str = fakewheels.VERSION) -> FinishedWheel:
    record = Record(
        target="ops",
        project="tfwheel-ops",
        version=version,
        line="cu12",
        python=None,
        file="",
        sha256="",
        size=0,
        key="",
    )
    return FinishedWheel(wheel=path, record=record)


def compare(ours: Path, theirs: FinishedWheel | None) -> None:
    ops_in_container._compare(ours, theirs, target=TARGET, rules=fakewheels.RULES)


def test_equal_members_and_gpu_code_pass_and_the_description_comes_later(tmp_path: Path) -> None:
    theirs = wheel(tmp_path / "native", "75", "80", more={f"{INFO}/sboms/tfwheel.cdx.json": b"{}"})
    compare(wheel(tmp_path, "80", "75"), native(theirs))


@pytest.mark.parametrize("where", ["ours", "theirs"])
def test_a_member_that_only_one_has_is_named(where: str, tmp_path: Path) -> None:
    more = {"tfwheel_ops/more.py": b""}
    ours = wheel(tmp_path, "75", more=more if where == "ours" else None)
    theirs = wheel(tmp_path / "native", "75", more=more if where == "theirs" else None)
    with pytest.raises(ContentsGateError, match=r"differ in their members: tfwheel_ops/more\.py"):
        compare(ours, native(theirs))


@pytest.mark.parametrize("archs", [("75",), ()])
def test_other_gpu_code_is_named(archs: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(ArchGateError, match=r"`tfwheel_ops/_ops\.so` has GPU code for .* native build has .*sm_80"):
        compare(wheel(tmp_path, *archs), native(wheel(tmp_path / "native", "75", "80")))


def test_without_a_native_build_of_this_version_that_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ours = wheel(tmp_path, "75")
    compare(ours, None)
    compare(ours, native(tmp_path / "gone.whl", version="2.19.0+cu125.1"))
    assert capfd.readouterr().err.count("there is no native build of ops-tf2.20.0-cu12 to compare with") == 2


@pytest.mark.parametrize(
    ("files", "compilers"),
    [
        ({"their_ops/_build_info.py": b'VERSION = "1"\nHOST_COMPILER = "GNU 13"\nDEVICE_COMPILER = "Clang 19"\n'},
         {"host compiler": "GNU 13", "device compiler": "Clang 19"}),
        ({"their_ops/_build_info.py": b'HOST_COMPILER = "GNU 13"\nDEVICE_COMPILER = ""\n'},
         {"host compiler": "GNU 13"}),
        ({}, {}),
    ],
)  # fmt: skip
def test_compilers_are_read_where_the_project_recorded_them(
    tmp_path: Path, files: dict[str, bytes], compilers: dict[str, str]
) -> None:
    assert ops_in_container._compilers(wheel(tmp_path, more=files), ["more_ops", "their_ops"]) == compilers


def test_the_project_of_the_container_is_the_folder_that_the_configuration_names(tmp_path: Path) -> None:
    job = fakewheels.job(tmp_path)
    project = OpsProject(name="own", kind="pyproject", path="own", folder="deep/er", packages=["own_ops"])
    assert ops_in_container._package(job) == "ops"
    assert ops_in_container._package(replace(job, config=replace(job.config, ops=(project,)))) == "own/deep/er"
    with pytest.raises(ConfigError, match="cibuildwheel builds one project"):
        ops_in_container._package(replace(job, config=replace(job.config, ops=(project, project))))
