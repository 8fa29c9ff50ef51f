"""git works on the repository that it is given, whatever a hook of another one has in its environment."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import opsworld
from tfwheel.system import git

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

KEPT = {"GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"}


def test_all_that_git_says_binds_it_to_a_repository_is_taken_out() -> None:
    words = ["git", "rev-parse", "--local-env-vars"]
    named = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert set(named) - KEPT <= set(git.OF_A_REPOSITORY)
    assert not KEPT.intersection(git.OF_A_REPOSITORY)


def test_the_environment_of_a_hook_leads_to_no_other_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign, own = tmp_path / "foreign", tmp_path / "own"
    opsworld.write(foreign, {"a": "1"})
    opsworld.write(own, {"b": "1"})
    commit, other = opsworld.committed(own), opsworld.committed(foreign)
    before = {path: path.read_bytes() for path in foreign.rglob("*") if path.is_file()}
    monkeypatch.setenv("GIT_DIR", str(foreign / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(foreign))
    monkeypatch.setenv("GIT_INDEX_FILE", str(foreign / ".git" / "index"))
    assert commit != other
    assert git.run("rev-parse", "HEAD", at=own).strip() == commit
    git.run("init", "-q", tmp_path / "new")
    assert (tmp_path / "new" / ".git").is_dir()
    assert {path: path.read_bytes() for path in foreign.rglob("*") if path.is_file()} == before


def test_configuration_by_the_environment_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COUNT": "1", "KEY_0": "user.name", "VALUE_0": "someone"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert git.run("config", "user.name", at=tmp_path) == "someone\n"
