"""What a build says about its sources, asked of a real git."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

import fakewheels

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *words: str) -> str:
    program = shutil.which("git")
    assert program
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run([program, "-C", folder, *who, *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit, which has an annotated tag as a release has."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "file").write_text("1")
    git(folder, "init", "-q")
    git(folder, "add", "file")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "-am", "release", "v2.20.0+cu125.1")
    return folder


def test_the_commit_is_its_hash_where_a_tag_stands_too(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD").strip()
    assert fakewheels.job(checkout).commit() == head
    (checkout / "file").write_text("2")
    assert fakewheels.job(checkout).commit() == f"{head}-dirty"


def test_outside_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "checkout"
    folder.mkdir()
    assert fakewheels.job(folder).commit() == ""


def test_an_op_is_named_after_its_source(checkout: Path) -> None:
    assert fakewheels.job(checkout).ops == []
    source = checkout / "ops" / "src"
    source.mkdir(parents=True)
    for name in ("swiglu.cc", "swiglu.cu", "rms_norm.cc", "element.h"):
        (source / name).touch()
    assert fakewheels.job(checkout).ops == ["rms_norm", "swiglu"]
