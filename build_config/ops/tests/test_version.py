"""What happens when the TensorFlow that is here is not the one the ops were built for."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tfwheel_ops
from tfwheel_ops import _build_info, _native

MINOR = ".".join(_build_info.TENSORFLOW_VERSION.split(".")[:2])


def import_beside(tmp_path: Path, distribution: str, version: str) -> str:
    """The last line of the error of an import where TensorFlow's metadata claims a version; empty without one."""
    folder = tmp_path / f"{distribution}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    done = subprocess.run(
        [sys.executable, "-c", "import tfwheel_ops"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def test_another_minor_is_refused_with_what_to_install(tmp_path: Path) -> None:
    said = import_beside(tmp_path, "tensorflow", "2.99.1")
    assert said.startswith(f"ImportError: tfwheel_ops was built for TensorFlow {MINOR}, but 2.99.1 is installed.")
    assert f"pip install 'tensorflow=={MINOR}.*'" in said
    assert "begins with 2.99" in said


@pytest.mark.parametrize("suffix", [".7", ".7+cu125.3", "rc1"])
def test_other_builds_of_the_minor_are_accepted(tmp_path: Path, suffix: str) -> None:
    assert import_beside(tmp_path, "tensorflow", MINOR + suffix) == ""


def test_without_tensorflow_the_import_says_so(tmp_path: Path) -> None:
    (tmp_path / "tfwheel_ops").symlink_to(Path(tfwheel_ops.__file__).parent)
    words = [sys.executable, "-S", "-c", "import tfwheel_ops"]  # -S: nothing of site-packages
    done = subprocess.run(words, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert f"none is installed: pip install 'tensorflow=={MINOR}.*'" in done.stderr.splitlines()[-1]


def test_any_distribution_of_tensorflow_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"tensorflow-cpu": "2.20.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert _native.installed_version() == "2.20.0"
    installed.clear()
    assert _native.installed_version() is None


def test_the_version_is_that_of_the_build() -> None:
    assert tfwheel_ops.__version__ == _build_info.VERSION
    assert tfwheel_ops.__version__.startswith(_build_info.TENSORFLOW_VERSION + "+")
