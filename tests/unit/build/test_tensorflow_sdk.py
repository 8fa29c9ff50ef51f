"""What is unpacked of an official wheel to compile ops against."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel.build import tensorflow_sdk
from tfwheel.errors import BadWheelError
from tfwheel.system import kept_folders

if TYPE_CHECKING:
    from pathlib import Path

# --- headers and library ---------------------------------------------------------------------------------

SHARED = {"tensorflow/include/tensorflow/core/op.h": b"// op\n", tensorflow_sdk.FRAMEWORK: b"a library"}
OTHERS = {tensorflow_sdk.PYTHON_HEADERS + "Python.h": b"// Python\n", "tensorflow/__init__.py": b""}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An official wheel."""
    members = {**SHARED, **OTHERS}
    return fakewheels.write_wheel(tmp_path, members, name="tensorflow", version="2.20.0", tag="cp312-cp312-any")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[set[str]]:
    """What stood in the folder of headers each time the disk was waited for (here it is not)."""
    seen: list[set[str]] = []
    monkeypatch.setattr(os, "sync", lambda: seen.append({path.name for path in tmp_path.glob("sdks/*")}))
    return seen


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, by its path there."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != kept_folders.WHOLE]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_headers_and_library_get_their_folder_once_they_are_on_the_disk(
    base: Path, tmp_path: Path, synced: list[set[str]]
) -> None:
    sdk = tensorflow_sdk.unpack_sdk(base, tmp_path)
    assert sdk == tensorflow_sdk.kept_sdk(base, tmp_path)
    assert contents(sdk) == SHARED
    assert synced == [set()]
    assert list(tmp_path.glob("sdks/*")) == [sdk]


def test_what_is_unpacked_is_not_unpacked_again(base: Path, tmp_path: Path, synced: list[set[str]]) -> None:
    marker = tensorflow_sdk.unpack_sdk(base, tmp_path) / "marker"
    marker.touch()
    tensorflow_sdk.unpack_sdk(base, tmp_path)
    assert marker.exists()
    assert len(synced) == 1


@pytest.mark.usefixtures("synced")
def test_a_folder_that_was_emptied_is_made_again(base: Path, tmp_path: Path) -> None:
    (tensorflow_sdk.unpack_sdk(base, tmp_path) / tensorflow_sdk.FRAMEWORK).unlink()
    assert contents(tensorflow_sdk.unpack_sdk(base, tmp_path)) == SHARED


def test_a_bad_wheel_leaves_no_folder_and_the_next_run_works(
    base: Path, tmp_path: Path, synced: list[set[str]]
) -> None:
    good = base.read_bytes()
    with tensorflow_sdk.WheelReader(base) as wheel:
        at = wheel.extent(tensorflow_sdk.FRAMEWORK).data
    base.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
    with pytest.raises(BadWheelError):
        tensorflow_sdk.unpack_sdk(base, tmp_path)
    assert not tensorflow_sdk.kept_sdk(base, tmp_path).exists()
    assert not synced
    base.write_bytes(good)
    assert contents(tensorflow_sdk.unpack_sdk(base, tmp_path)) == SHARED
