"""The plan as CI asks for it: the door run as a program, in a git checkout with a history."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tfwheel.config.paths import ROOT
from tfwheel.errors import UsageError
from tfwheel.system import ci
from tfwheel.system.errors import ChangesUnknownError, CommandError, NotInCiError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path

AS = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Tests"), ("EMAIL", "tests@example.org"))
}


def git(checkout: Path, *words: str) -> str:
    return run(["git", "-C", checkout, *words], env=AS)


def write(checkout: Path, name: str, text: str = "new\n") -> None:
    path = checkout / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with this configuration, this program, and one commit, on a branch that left main there."""
    folder = tmp_path / "checkout"
    for name in ("build_config", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    write(folder, ".gitignore", "__pycache__/\n/dist/\n")
    write(folder, "README.md")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
    git(folder, "switch", "--quiet", "--create", "topic")
    return folder


def plan(checkout: Path, *words: str, output: Path | None = None) -> Any:  # noqa: ANN401 -- what JSON says
    env = {"GITHUB_OUTPUT": str(output or "")}
    return json.loads(run([sys.executable, checkout / "scripts" / "plan_matrix.py", *words], env=env))


def exit_code(checkout: Path, *words: str) -> tuple[int | None, str]:
    with pytest.raises(CommandError) as caught:
        plan(checkout, *words)
    return caught.value.returncode, caught.value.output


# --- what changed ----------------------------------------------------------------------------------------


def test_only_what_this_branch_changed_counts(checkout: Path) -> None:
    git(checkout, "switch", "--quiet", "main")
    write(checkout, "build_config/elsewhere.toml")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=on main")
    git(checkout, "switch", "--quiet", "topic")
    assert ci.changed_files(checkout, since="main") == []
    write(checkout, "tests/a b.py")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=on the branch")
    write(checkout, "README.md", "not committed\n")
    write(checkout, "new/ö.txt", "not even added\n")
    write(checkout, "dist/ignored.txt")
    assert ci.changed_files(checkout, since="main") == ["README.md", "new/ö.txt", "tests/a b.py"]


def test_a_file_that_leaves_the_build_counts_under_its_old_name_too(checkout: Path) -> None:
    git(checkout, "mv", "build_config/repair.toml", "repair.toml")
    assert ci.changed_files(checkout, since="main") == ["build_config/repair.toml", "repair.toml"]


@pytest.mark.parametrize("revision", ["nowhere", "0" * 40, "--help", ""])
def test_a_revision_that_git_does_not_have_is_named(checkout: Path, revision: str) -> None:
    with pytest.raises(ChangesUnknownError, match=f"which files changed since `{revision}`") as caught:
        ci.changed_files(checkout, since=revision)
    assert "fetch-depth: 0" in caught.value.remedy


def test_a_shallow_history_is_said_and_not_guessed_at(checkout: Path, tmp_path: Path) -> None:
    write(checkout, "README.md", "second\n")
    git(checkout, "commit", "--quiet", "--all", "--message=second")
    git(checkout, "switch", "--quiet", "main")
    write(checkout, "README.md", "on main\n")
    git(checkout, "commit", "--quiet", "--all", "--message=third")
    shallow = tmp_path / "shallow"
    run(["git", "clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{checkout}", shallow])
    with pytest.raises(ChangesUnknownError, match="merge base"):
        ci.changed_files(shallow, since="origin/topic")


def test_outside_git_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ChangesUnknownError, match="not a git repository"):
        ci.changed_files(tmp_path, since="HEAD")


# --- the door --------------------------------------------------------------------------------------------


def test_a_change_of_words_alone_builds_nothing(checkout: Path, tmp_path: Path) -> None:
    write(checkout, "README.md", "better words\n")
    output = tmp_path / "output"
    output.write_text("before=1\n")
    words = ("--event", "pull_request", "--changed-since", "main", "--github-output", "--label", "bug,all", "")
    assert plan(checkout, *words, output=output) == {"include": []}
    assert output.read_text() == 'before=1\nmatrix={"include": []}\nany=false\n'


def test_a_change_of_an_op_starts_the_corners(checkout: Path, tmp_path: Path) -> None:
    write(checkout, "build_config/ops/src/new.cc")
    output = tmp_path / "output"
    found = plan(checkout, "--event=pull_request", "--changed-since=main", "--github-output", output=output)
    assert len(found["include"]) >= 2
    lines = output.read_text().splitlines()
    assert [line.partition("=")[0] for line in lines] == ["matrix", "any"]
    assert json.loads(lines[0].partition("=")[2]) == found
    assert lines[1] == "any=true"


def test_without_a_file_for_outputs_that_is_said(checkout: Path) -> None:
    code, said = exit_code(checkout, "--event", "push", "--github-output")
    assert code == NotInCiError.exit_code
    assert "$GITHUB_OUTPUT" in said
    assert '"include"' not in said


def test_words_that_do_not_go_together_are_refused_with_what_to_do(checkout: Path) -> None:
    code, said = exit_code(checkout, "--label", "all")
    assert code == UsageError.exit_code
    assert "--label cannot be used without --event" in said
    assert "Add `--event EVENT`" in said


def test_without_an_event_the_table_is_printed(checkout: Path) -> None:
    shown = run([sys.executable, checkout / "scripts" / "plan_matrix.py"], env={"PATH": os.environ["PATH"]})
    assert shown.startswith("| TensorFlow | Python |")
