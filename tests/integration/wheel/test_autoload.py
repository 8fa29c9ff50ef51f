"""The lines by which TensorFlow loads the ops of a wheel itself: run, on a stand-in of its loader."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tfwheel.wheel import autoload

if TYPE_CHECKING:
    from pathlib import Path

LOADER = """
from pathlib import Path
def load_library(path):
    print("load", Path(path).relative_to(Path(__file__).parents[3]))
    if "bad" in path:
        raise OSError("undefined symbol: x")
"""
ASK = "import tensorflow; print(tensorflow.X, [one for one in vars(tensorflow) if 'custom' in one])"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a TensorFlow whose package has those lines."""
    framework = tmp_path / "tensorflow" / "python" / "framework"
    framework.mkdir(parents=True)
    (framework / "load_library.py").write_text(LOADER)
    return tmp_path


def said(site: Path, *libraries: str) -> tuple[str, str]:
    """What an import of TensorFlow prints and warns of."""
    text = autoload.added(b"X = 1\n", libraries)
    (site / "tensorflow" / "__init__.py").write_bytes(text)
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, cwd=site, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_each_library_is_loaded_from_the_folder_of_the_merged_wheel(site: Path) -> None:
    out, warned = said(site, "mine/_ops.so", "theirs/deep/_ops.so")
    assert out == "load _mine/_ops.so\nload _theirs/deep/_ops.so\n1 []\n"
    assert warned == ""


def test_a_wheel_of_ops_installed_beside_takes_precedence(site: Path) -> None:
    (site / "mine").mkdir()
    assert said(site, "mine/_ops.so")[0].startswith("load mine/_ops.so\n")


def test_a_library_that_does_not_load_is_a_warning_and_never_in_the_way(site: Path) -> None:
    out, warned = said(site, "bad/_ops.so", "mine/_ops.so")
    assert out.endswith("load _mine/_ops.so\n1 []\n")
    assert "TensorFlow could not load its custom ops in" in warned
    assert "undefined symbol: x" in warned


def test_what_was_there_stays_as_it_was() -> None:
    text = autoload.added(b"X = 1", ["mine/_ops.so"])
    assert text.startswith(b"X = 1\n\n\n#")
    compile(text, "tensorflow/__init__.py", "exec")
