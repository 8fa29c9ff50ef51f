from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from smallruntime import KNOWN, PINS, RUNTIME
from tfwheel.colab import drift
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

COLAB = CONFIG_DIR / "colab"
NEWEST = {
    "pip-freeze-gpu-2026-08-19.txt": "pip-freeze.gpu.txt",
    "os-info-2026-08-19.txt": "os-info-gpu.txt",
    "apt-list-gpu-2026-08-19.txt": "apt-list-gpu.txt",
}


def clone(folder: Path) -> Path:
    """Files as Colab's repository has them."""
    for name, there in NEWEST.items():
        shutil.copy(COLAB / name, folder / there)
    return folder


def test_a_clone_of_colabs_repository_is_read_with_all_its_files(tmp_path: Path) -> None:
    found = drift.read(clone(tmp_path))
    assert (found.python, found.glibc, found.cuda, found.cudnn["apt"]) == ("3.13.15", "2.35", "12.8", "9.8.0")
    (tmp_path / "apt-list-gpu.txt").unlink()
    assert drift.read(tmp_path / "pip-freeze.gpu.txt").cuda is None


@pytest.mark.parametrize("name", ["snapshot.json", "taken.json"])
def test_a_snapshot_is_read_from_its_file_and_its_folder(tmp_path: Path, name: str) -> None:
    text = json.dumps({"format": 1, "date": "2026-11-01", "python": "3.13.15", "distributions": {}, "glibc": "2.39"})
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert drift.read(tmp_path / name if name == "taken.json" else tmp_path).glibc == "2.39"


def test_a_folder_without_a_runtime_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"describes no runtime: it needs snapshot\.json, or one of pip-freeze\.gpu\.txt"
    ):
        drift.read(tmp_path)


def test_equal_runtimes_do_not_differ() -> None:
    assert drift.compare(RUNTIME, replace(RUNTIME, name="x"), KNOWN).is_nothing


def test_what_is_near_tensorflow_is_named_and_the_rest_is_counted() -> None:
    pins = {**PINS, "protobuf": "6.33.0", "gast": "0.7.0", "far-away": "2"}
    del pins["keras"]
    newer = replace(
        RUNTIME, pins=pins, python="3.13.15", glibc="2.39", cuda=None, cudnn={"apt": "9.8.0", "pip": "10.1"}
    )
    found = drift.compare(RUNTIME, newer, KNOWN)
    assert found.system == (
        ("Python", "3.12.13", "3.13.15"),
        ("glibc", "2.35", "2.39"),
        ("cuDNN (pip)", "9.10.2.21", "10.1"),
    )
    assert found.close == (
        ("gast", "absent", "0.7.0"),
        ("keras", "3.13.2", "absent"),
        ("protobuf", "5.29.6", "6.33.0"),
    )
    assert found.others == 1


@pytest.mark.parametrize(
    ("targets", "wish"),
    [
        ([("2.20.0", "3.12")], None),
        ([("2.20.1", "3.12")], None),
        ([("2.20.0", "3.13"), ("2.21.0", "3.12")], "TensorFlow 2.20.0 for Python 3.12"),
        ([], "TensorFlow 2.20.0 for Python 3.12"),
    ],
)
def test_a_tensorflow_and_python_that_no_target_has_should_be_built(
    targets: list[tuple[str, str]], wish: str | None
) -> None:
    assert drift.wished(RUNTIME, targets) == wish


@pytest.mark.parametrize("version", [None, "2004d"])
def test_a_runtime_without_a_tensorflow_wishes_nothing(version: str | None) -> None:
    pins = {"tensorflow": version} if version else {}
    assert drift.wished(replace(RUNTIME, pins=pins), []) is None
