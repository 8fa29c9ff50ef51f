"""The checksums of a release in the hands of coreutils."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tfwheel.wheel import provenance

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("tensorflow-2.20.0+cu125.2-cp312-cp312-manylinux_2_17_x86_64.whl", "with a space.json")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder with files and their SHA256SUMS."""
    paths = [tmp_path / name for name in FILES]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    (tmp_path / "SHA256SUMS").write_text(provenance.checksums(paths))
    return tmp_path


def sha256sum(release: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("sha256sum")
    assert program
    return subprocess.run([program, *words], cwd=release, capture_output=True, text=True, check=False)


def check(release: Path) -> subprocess.CompletedProcess[str]:
    return sha256sum(release, "--check", "--strict", "SHA256SUMS")


def test_sha256sum_accepts_the_files_and_writes_the_same_itself(release: Path) -> None:
    done = check(release)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"{name}: OK\n" for name in FILES)
    assert sha256sum(release, *FILES).stdout == (release / "SHA256SUMS").read_text()


def test_sha256sum_refuses_a_changed_file(release: Path) -> None:
    (release / FILES[0]).write_bytes(b"other")
    done = check(release)
    assert done.returncode == 1
    assert f"{FILES[0]}: FAILED" in done.stdout
