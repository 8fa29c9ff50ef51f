"""The sessions as nox itself sees them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import pytest

import docpages
from tfwheel.config import build_config, plan
from tfwheel.config.paths import ROOT
from tfwheel.index.errors import FitLostError, RuntimeChangedError
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what nox reads."""
    for name in ("noxfile.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("scripts", "build_config"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def sessions(checkout: Path) -> dict[str, str]:
    """Name and description of every session."""
    listing = run([sys.executable, "-m", "nox", "--list"], cwd=checkout).splitlines()
    rows = [line[2:].partition(" -> ") for line in listing if line.startswith(("- ", "* "))]
    return {name.partition(" [")[0]: description for name, _, description in rows}


def test_nox_lists_exactly_the_targets_of_the_plan(checkout: Path) -> None:
    listed = {name.partition("(")[2].rstrip(")") for name in sessions(checkout) if "(" in name}
    assert listed == {target.id for target in plan.targets(build_config.load())}


def test_a_line_of_cuda_13_is_built_by_its_own_session(checkout: Path) -> None:
    assert "build-cuda13(tf2.21.0-cp313-cu13)" in sessions(checkout)
    targets = checkout / "build_config" / "targets.toml"
    text = targets.read_text(encoding="utf-8")
    targets.write_text(text.replace('["cu128", "cu13"]', '["cu128"]'), encoding="utf-8")
    assert not [name for name in sessions(checkout) if name.startswith("build-cuda13(")]


def test_every_session_says_what_it_does_in_one_sentence(checkout: Path) -> None:
    described = sessions(checkout)
    assert len(described) > 15
    assert all(text.endswith(".") for text in described.values())


def test_the_page_about_builds_has_every_session(checkout: Path) -> None:
    rows = docpages.table(ROOT / "index/docs/build.md", "## Sessions")
    named = [name for row in rows for name in re.findall(r"`([^`]*)`", row[0])]
    assert sorted(named) == sorted({name.partition("(")[0] for name in sessions(checkout)})


def test_a_question_about_locking_locks_nothing(checkout: Path) -> None:
    locks = checkout / "build_config" / "locks"
    before = {path: path.stat().st_mtime_ns for path in locks.iterdir()}
    said = run([sys.executable, "-m", "nox", "--session", "update-locks", "--", "--help"], cwd=checkout)
    assert "--upgrade-package NAME" in said
    assert "pip compile" not in said
    assert {path: path.stat().st_mtime_ns for path in locks.iterdir()} == before


def test_a_group_that_is_not_locked_as_it_stands_stops_its_session_and_names_the_command(checkout: Path) -> None:
    pyproject = checkout / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    assert "sigstore>=4.5,<5" in text
    pyproject.write_text(text.replace("sigstore>=4.5,<5", "sigstore>=4.4,<5"))
    with pytest.raises(CommandError) as failure:
        run([sys.executable, "-m", "nox", "--session", "verify-attestation"], cwd=checkout)
    said = failure.value.output
    assert "build_config/locks/attest.txt does not lock the group `attest` as pyproject.toml has it" in said
    assert "run `nox -s update-locks`, and commit both files" in said
    assert "Running session verify-attestation" in said
    assert "pip install" not in said


@pytest.mark.parametrize(
    ("code", "passes"), [(RuntimeChangedError.exit_code, True), (FitLostError.exit_code, False), (11, False)]
)
def test_a_change_that_every_wheel_survives_is_no_failed_session(checkout: Path, code: int, *, passes: bool) -> None:
    home = checkout / ".nox" / "factory"  # as if it were installed
    venv.create(home, with_pip=False)
    with (home / "pyvenv.cfg").open("a", encoding="utf-8") as file:
        file.write("uv = 0\n" if shutil.which("uv") else "virtualenv = 0\n")
    shutil.copy(checkout / "build_config" / "locks" / "factory.txt", home / "installed.txt")
    (checkout / "scripts" / "watch_runtimes.py").write_text(f"raise SystemExit({code})\n", encoding="utf-8")
    words = [sys.executable, "-m", "nox", "--session", "watch-runtimes"]
    found = subprocess.run(words, cwd=checkout, capture_output=True, text=True, check=False)
    assert (found.returncode == 0) == passes, found.stderr
    assert ("Session watch-runtimes was successful" in found.stderr) == passes
    assert f"exit code {code}" in found.stderr or passes


def test_a_broken_targets_file_leaves_a_session_that_says_so(checkout: Path) -> None:
    (checkout / "build_config" / "targets.toml").write_text("[[release]\n")
    assert "build-cuda12(unreadable)" in sessions(checkout)
