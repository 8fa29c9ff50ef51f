"""Interpreters: real programs that claim to be a Python."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tfwheel.system import interpreters
from tfwheel.system.errors import InterpreterMissingError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path

MINOR = "{}.{}".format(*sys.version_info)


def claim(folder: Path, script: str, name: str = "python3.99") -> Path:
    """A program of that name in a folder of its own."""
    folder.mkdir()
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def answer(implementation: str, minor: str, *, free_threaded: bool = False) -> str:
    """A shell script that answers the probe."""
    return f"echo '{json.dumps([implementation, minor, free_threaded, '/real/python3.99'])}'"


def test_the_running_python_is_found_and_is_what_it_says() -> None:
    found = interpreters.find(MINOR)
    assert run([found, "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]).strip() == MINOR


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("echo 'pyenv: python3.99: command not found' >&2; exit 127", "does not run .*command not found"),
        ("exit 3", "does not run .*exit code 3"),
        ("echo hello", "does not answer like a Python"),
        ("true", "does not answer like a Python"),
        (answer("pypy", "3.99"), r"it is pypy 3\.99"),
        (answer("cpython", "3.12"), r"it is cpython 3\.12"),
        (answer("cpython", "3.99", free_threaded=True), "free-threaded"),
    ],
)
def test_what_is_not_that_cpython_is_passed_over_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, fault: str
) -> None:
    shim = claim(tmp_path / "bin", script)
    monkeypatch.setenv("PATH", str(shim.parent), prepend=":")
    with pytest.raises(InterpreterMissingError, match=f"passed over {shim}: .*{fault}"):
        interpreters.find("3.99")


def test_a_broken_shim_does_not_hide_a_good_one_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = claim(tmp_path / "shims", "exit 127")
    good = claim(tmp_path / "bin", answer("cpython", "3.99"))
    monkeypatch.setenv("PATH", f"{broken.parent}:{good.parent}", prepend=":")
    assert str(interpreters.find("3.99")) == "/real/python3.99"


def test_the_pythons_of_manylinux_images_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cp399-cp399").mkdir()
    claim(tmp_path / "cp399-cp399" / "bin", answer("cpython", "3.99"))
    monkeypatch.setattr(interpreters, "MANYLINUX", tmp_path)
    assert str(interpreters.find("3.99")) == "/real/python3.99"
