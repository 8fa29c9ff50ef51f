"""The lines by which TensorFlow loads the ops of a wheel itself: run, on a stand-in of its loader."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tfwheel.wheel import autoload, ops_package

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOADER = """
import os
def load_library(path):
    print("load", path.replace(os.path.dirname(os.getcwd()) + "/", ""))
    if "bad" in path or not os.path.isfile(path):
        raise OSError("undefined symbol: x")
"""
ASK = "import tensorflow; print(tensorflow.X, [one for one in vars(tensorflow) if 'custom' in one])"
DONE = "1 []\n"
# What a package does with its library, as ops_builds writes it: it finds it beside itself.
PACKAGE = "from pathlib import Path\nimport tensorflow\ntensorflow.load(str(Path(__file__).parent / '_ops.so'))\n"
ASK_PACKAGE = f"{ASK}; import mine"
# As the finder of an editable install does: sources are in one folder, and what was built of them is in another.
EDITABLE = """
import importlib.abc, importlib.util, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "mine":
            folders = ["{source}", "{built}"]
            return importlib.util.spec_from_file_location(
                name, folders[0] + "/__init__.py", submodule_search_locations=folders)
sys.meta_path.insert(0, Finder())
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a TensorFlow whose package has those lines, and with its ops."""
    framework = tmp_path / "site" / "tensorflow" / "python" / "framework"
    framework.mkdir(parents=True)
    (framework / "load_library.py").write_text(LOADER)
    for package in ("_mine", "_theirs/deep"):
        put(tmp_path / "site" / package)
    return tmp_path / "site"


def put(folder: Path, init: str | None = None) -> Path:
    """Put a library into a folder, with an ``__init__.py`` if it is to be a package."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_ops.so").touch()
    if init is not None:
        (folder / "__init__.py").write_text(init)
    return folder


def said(site: Path, *libraries: str, ask: str = ASK, options: Sequence[str] = (), **variables: str) -> tuple[str, str]:
    """What an import of TensorFlow prints and warns of; paths are below the folder that the site is in."""
    text = autoload.added(
        b"X = 1\nfrom tensorflow.python.framework.load_library import load_library as load\n", libraries
    )
    (site / "tensorflow" / "__init__.py").write_bytes(text)
    command = [sys.executable, *options, "-c", ask]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=site, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_each_library_is_loaded_from_the_folder_of_the_merged_wheel(site: Path) -> None:
    out, warned = said(site, "mine/_ops.so", "theirs/deep/_ops.so")
    assert out == f"load site/_mine/_ops.so\nload site/_theirs/deep/_ops.so\n{DONE}"
    assert warned == ""


def test_the_module_of_the_merged_wheel_stands_for_the_folder_beside_it(site: Path) -> None:
    (site / "mine.py").write_text(ops_package.MODULE.format(package="mine", folder="_mine", project="x"))
    (site / "_mine" / "__init__.py").write_text(PACKAGE)
    out, _ = said(site, "mine/_ops.so", ask=ASK_PACKAGE)
    assert out == f"load site/_mine/_ops.so\n{DONE}load site/_mine/_ops.so\n"


def test_a_wheel_of_ops_installed_beside_takes_precedence(site: Path) -> None:
    put(site / "mine", PACKAGE)
    (site / "mine.py").write_text("")
    out, _ = said(site, "mine/_ops.so", "theirs/deep/_ops.so", ask=ASK_PACKAGE)
    assert out == f"load site/mine/_ops.so\nload site/_theirs/deep/_ops.so\n{DONE}load site/mine/_ops.so\n"


@pytest.mark.parametrize("ask", [ASK_PACKAGE, f"import mine; {ASK}"])
def test_a_wheel_of_ops_installed_in_another_folder_takes_precedence(site: Path, tmp_path: Path, ask: str) -> None:
    put(tmp_path / "user" / "mine", PACKAGE)
    out, warned = said(site, "mine/_ops.so", ask=ask, PYTHONPATH=str(tmp_path / "user"))
    lines = out.splitlines()
    assert lines[0] == "load user/mine/_ops.so"
    assert sorted(lines) == [DONE.strip(), *["load user/mine/_ops.so"] * 2]
    assert warned == ""


def test_an_editable_install_takes_precedence(site: Path, tmp_path: Path) -> None:
    source, built = tmp_path / "source" / "mine", put(tmp_path / "built" / "mine")
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("")
    finder = EDITABLE.format(source=source, built=built)
    assert said(site, "mine/_ops.so", ask=finder + ASK)[0] == f"load built/mine/_ops.so\n{DONE}"


@pytest.mark.parametrize("init", [None, "raise SystemExit('a stray package was imported')\n"])
def test_a_stray_folder_of_that_name_without_the_library_is_passed_over(
    site: Path, tmp_path: Path, init: str | None
) -> None:
    for place in (site, tmp_path / "user"):
        (put(place / "mine", init) / "_ops.so").unlink()
    out, warned = said(site, "mine/_ops.so", PYTHONPATH=str(tmp_path / "user"))
    assert out == f"load site/_mine/_ops.so\n{DONE}"
    assert warned == ""


def test_two_copies_of_a_package_are_never_mixed(site: Path) -> None:
    put(site / "mine", "")
    (site / "_mine" / "other.so").touch()
    out, warned = said(site, "mine/other.so", "mine/_ops.so")
    assert out == f"load site/mine/other.so\nload site/mine/_ops.so\n{DONE}"
    assert "mine/other.so: undefined symbol" in warned


def test_a_module_that_says_nothing_of_itself_is_not_in_the_way(site: Path) -> None:
    broken = "import sys, types; sys.modules['mine'] = types.ModuleType('mine'); "
    assert said(site, "mine/_ops.so", ask=broken + ASK) == (f"load site/_mine/_ops.so\n{DONE}", "")


WARNED = "TensorFlow could not load its custom ops in"


@pytest.mark.parametrize(
    ("options", "variable"), [([], ""), (["-W", "error"], ""), ([], "error"), (["-W", "error::UserWarning"], "")]
)
def test_a_library_that_does_not_load_is_a_warning_and_never_in_the_way(
    site: Path, options: list[str], variable: str
) -> None:
    out, warned = said(site, "bad/_ops.so", "mine/_ops.so", options=options, PYTHONWARNINGS=variable)
    assert out.endswith(f"load site/_mine/_ops.so\n{DONE}")
    assert WARNED in warned
    assert "undefined symbol: x" in warned


def test_who_silences_warnings_sees_none(site: Path) -> None:
    assert said(site, "bad/_ops.so", options=["-W", "ignore"])[1] == ""


def test_an_error_without_words_is_not_in_the_way(site: Path) -> None:
    odd = "class Odd(Exception):\n    def __str__(self): raise OSError\ndef load_library(path): raise Odd\n"
    (site / "tensorflow/python/framework/load_library.py").write_text(odd)
    assert said(site, "mine/_ops.so", "theirs/deep/_ops.so")[0] == DONE


def test_what_was_there_stays_as_it_was() -> None:
    text = autoload.added(b"X = 1", ["mine/_ops.so"])
    assert text.startswith(b"X = 1\n\n\n#")
    compile(text, "tensorflow/__init__.py", "exec")
