"""What a project with its own build finds of TensorFlow, from a small official wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

import fakewheels
from tfwheel.build import project_sdk, tensorflow_sdk
from tfwheel.errors import BadWheelError


def wheel(folder: Path, members: dict[str, bytes]) -> Path:
    found = {"tensorflow/include/tensorflow/op.h": b"#pragma once\n", tensorflow_sdk.FRAMEWORK: b"framework", **members}
    return fakewheels.write_wheel(folder, found, name="tensorflow", version="2.20.0", tag="cp312-cp312-linux_x86_64")


def names(sdk: Path) -> list[str]:
    return sorted(path.name for path in (sdk / "tensorflow").iterdir())


def test_headers_and_framework_library_under_the_names_that_linkers_look_for(tmp_path: Path) -> None:
    base = wheel(tmp_path, {project_sdk.CC: b"cc"})
    sdk = project_sdk.unpack(base, tmp_path / "cache")
    assert names(sdk) == ["include", "libtensorflow_framework.so", "libtensorflow_framework.so.2"]
    assert (sdk / "tensorflow/include/tensorflow/op.h").read_bytes() == b"#pragma once\n"
    assert (sdk / "tensorflow/libtensorflow_framework.so").read_bytes() == b"framework"
    assert (sdk / "tensorflow/libtensorflow_framework.so").readlink() == Path("libtensorflow_framework.so.2")
    assert project_sdk.unpack(base, tmp_path / "cache") == sdk


def test_the_large_library_is_unpacked_when_it_is_asked_for(tmp_path: Path) -> None:
    base = wheel(tmp_path, {project_sdk.CC: b"cc"})
    without = project_sdk.unpack(base, tmp_path / "cache")
    sdk = project_sdk.unpack(base, tmp_path / "cache", cc=True)
    assert set(names(sdk)) - set(names(without)) == {"libtensorflow_cc.so", "libtensorflow_cc.so.2"}
    assert (sdk / "tensorflow/libtensorflow_cc.so").read_bytes() == b"cc"
    assert not (sdk / project_sdk.CC).is_symlink()


def test_another_large_library_is_another_folder(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    one = project_sdk.unpack(wheel(tmp_path / "1", {project_sdk.CC: b"cc"}), cache, cc=True)
    other = project_sdk.unpack(wheel(tmp_path / "2", {project_sdk.CC: b"dd"}), cache, cc=True)
    assert one != other
    assert (other / project_sdk.CC).read_bytes() == b"dd"


def test_where_the_headers_were_cleaned_away_all_is_made_again(tmp_path: Path) -> None:
    base = wheel(tmp_path, {})
    sdk = project_sdk.unpack(base, tmp_path / "cache")
    (tensorflow_sdk.kept_sdk(base, tmp_path / "cache") / tensorflow_sdk.FRAMEWORK).unlink()
    assert project_sdk.unpack(base, tmp_path / "cache") == sdk
    assert (sdk / "tensorflow/libtensorflow_framework.so").read_bytes() == b"framework"


def test_a_wheel_without_that_library_is_named_and_nothing_is_kept(tmp_path: Path) -> None:
    base = wheel(tmp_path, {})
    with pytest.raises(BadWheelError, match=r"libtensorflow_cc\.so\.2"):
        project_sdk.unpack(base, tmp_path / "cache", cc=True)
    assert len(list((tmp_path / "cache" / "sdks").iterdir())) == 1
