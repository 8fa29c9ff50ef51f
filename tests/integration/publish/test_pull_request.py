"""Proposals: real git, a bare repository to push to, a fake GitHub server for pull requests."""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import githubapi
from fake_github import server
from fake_github.server import FakeServer, Response
from releasing import git
from tfwheel.errors import PublishError, UsageError
from tfwheel.publish import pull_request
from tfwheel.publish.errors import TokenMissingError
from tfwheel.publish.github_api import GithubApi as Api
from tfwheel.publish.github_repository import Repository
from tfwheel.publish.pull_request import ProposedChange
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fake_github.server import Request
    from githubapi import GitHub

DOOR = Path(__file__).parents[3] / "scripts" / "propose_change.py"
TOKEN = "ghp_very_secret"  # noqa: S105 -- of servers that know no tokens


@pytest.fixture
def github() -> Iterator[GitHub]:
    """An empty host."""
    with githubapi.running() as host:
        yield host


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with two files, and beside it the repository that it came from."""
    first = tmp_path / "first"
    (first / "folder").mkdir(parents=True)
    (first / "pins.toml").write_text("a = 1\n")
    (first / "folder" / "old.txt").write_text("old\n")
    git(first, "init", "-q", "-b", "main")
    save(first)
    git(first, "clone", "-q", "--bare", str(first), str(tmp_path / "remote.git"))
    git(first, "clone", "-q", str(tmp_path / "remote.git"), str(tmp_path / "checkout"))
    return tmp_path / "checkout"


def save(tree: Path) -> None:
    """Commit everything."""
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "A commit")


def remote_of(root: Path) -> Path:
    """What is pushed to."""
    return root.with_name("remote.git")


def repository_of(github: GitHub) -> Repository:
    """How the host is reached."""
    return Repository(api=Api(api=github.address, repo=githubapi.REPO, token=TOKEN), web=github.address)


def change_of(root: Path, *paths: str, title: str = "Update pins") -> ProposedChange:
    """A change of files of the checkout."""
    return ProposedChange(
        branch="pins", title=title, body="Why.", apply=pull_request.copied(root, paths or ["pins.toml"])
    )


def propose(root: Path, github: GitHub, *paths: str, push: bool = False, title: str = "Update pins") -> str:
    """Propose files of the checkout."""
    remote = remote_of(root).as_uri()
    return pull_request.propose(
        change_of(root, *paths, title=title), repository=repository_of(github), remote=remote, push=push
    )


def shown(root: Path, branch: str, name: str = "pins.toml") -> str:
    """What a branch of the remote has."""
    return git(remote_of(root), "show", f"{branch}:{name}")


def test_a_change_becomes_one_pull_request_that_is_brought_up_to_date(root: Path, github: GitHub) -> None:
    assert propose(root, github) == "no change: main has it already"
    (root / "pins.toml").write_text("a = 2\n")
    said = propose(root, github)
    assert said == f"proposed as pull request 1: {github.address}/{githubapi.REPO}/pull/1"
    assert (shown(root, "pins"), shown(root, "main")) == ("a = 2", "a = 1")
    commit = git(remote_of(root), "rev-parse", "pins")
    assert propose(root, github) == said
    assert git(remote_of(root), "rev-parse", "pins") == commit
    assert "PATCH" not in github.methods
    (root / "pins.toml").write_text("a = 3\n")
    assert propose(root, github, title="Update pins again") == said
    assert shown(root, "pins") == "a = 3"
    assert git(remote_of(root), "rev-list", "--count", "main..pins") == "1"
    (pull,) = github.state.all("pull")
    assert (pull["title"], pull["body"], pull["base"]["ref"]) == ("Update pins again", "Why.", "main")
    assert git(root, "status", "--porcelain") == "M pins.toml"


def test_a_pull_request_that_was_merged_makes_room_for_another(root: Path, github: GitHub) -> None:
    (root / "pins.toml").write_text("a = 2\n")
    propose(root, github)
    git(remote_of(root), "fetch", "-q", ".", "pins:main")
    github.state.save(github.state.all("pull")[0] | {"state": "closed"})
    assert propose(root, github) == "no change: main has it already"
    git(root, "pull", "-q", "--rebase=false", "--autostash")
    (root / "pins.toml").write_text("a = 3\n")
    assert propose(root, github).startswith("proposed as pull request 2: ")


def test_folders_new_files_and_removed_ones_are_proposed(root: Path, github: GitHub) -> None:
    (root / "folder" / "new").mkdir()
    (root / "folder" / "new" / "file.txt").write_text("new\n")
    (root / "folder" / "old.txt").unlink()
    propose(root, github, "folder", push=True)
    assert shown(root, "main", "folder/new/file.txt") == "new"
    assert "folder/old.txt" not in git(remote_of(root), "ls-tree", "-r", "--name-only", "main")


def test_a_push_goes_straight_to_main_and_once_more_when_main_moved(
    root: Path, github: GitHub, capsys: pytest.CaptureFixture[str]
) -> None:
    other = root.with_name("first")
    (root / "pins.toml").write_text("a = 2\n")
    inner, moves = pull_request.copied(root, ["pins.toml"]), [1]

    def apply(tree: Path) -> list[str]:
        if moves:  # somebody is faster
            (other / f"{moves.pop()}.txt").write_text("x")
            save(other)
            git(other, "push", "-q", str(remote_of(root)), "main")
        return inner(tree)

    change = ProposedChange(branch="pins", title="Update pins", body="", apply=apply)
    remote = remote_of(root).as_uri()
    assert (
        pull_request.propose(change, repository=repository_of(github), remote=remote, push=True)
        == "pushed to main: Update pins"
    )
    assert "main moved meanwhile" in capsys.readouterr().err
    assert (shown(root, "main"), shown(root, "main", "1.txt")) == ("a = 2", "x")
    (root / "pins.toml").write_text("a = 3\n")
    git(root, "fetch", "-q")
    git(root, "reset", "-q", "--soft", "origin/main")
    inner = pull_request.copied(root, ["pins.toml"])
    moves += [2, 3]
    before = (other / "1.txt").read_text()

    def always(tree: Path) -> list[str]:
        moves.append(len(moves) + 9)
        return apply(tree)

    change = ProposedChange(branch="pins", title="Update pins", body="", apply=always)
    with pytest.raises(PublishError, match="could not bring `Update pins`"):
        pull_request.propose(change, repository=repository_of(github), remote=remote, push=True)
    assert before == "x"
    assert not github.state.all("pull")


def test_two_changes_of_one_file_contradict_each_other(root: Path, github: GitHub) -> None:
    other = root.with_name("first")
    (other / "pins.toml").write_text("a = 9\n")
    save(other)
    git(other, "push", "-q", str(remote_of(root)), "main")
    (root / "pins.toml").write_text("a = 2\n")
    with pytest.raises(PublishError, match=r"pins\.toml was changed here and"):
        propose(root, github)
    assert shown(root, "main") == "a = 9"


def test_paths_and_remotes_that_are_not_there_are_said(root: Path, github: GitHub) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.txt: not all of these are files"):
        propose(root, github, "nowhere.txt")
    (root / "pins.toml").write_text("a = 2\n")
    remote_of(root).rename(root.with_name("elsewhere.git"))
    with pytest.raises(PublishError, match="could not bring"):
        propose(root, github)


# --- the token -------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Gate(FakeServer):
    """A git host that lets nobody in, and says back what it was told."""

    told: list[str] = field(default_factory=list)

    def answer(self, question: Request) -> Response:
        self.told.append(question.headers.get("Authorization", ""))
        return Response(status=403, body=f"not with {self.told[-1]} and {TOKEN}".encode())


def refused(gate: Gate, act: Callable[[str], object]) -> tuple[str, str]:
    """What a refused proposal says, and what the host was told."""
    with server.serving(gate), pytest.raises(PublishError) as failure:
        act(f"{gate.address}/someone/wheels.git")
    return str(failure.value), gate.told[0]


def test_the_token_goes_to_git_and_into_no_message(
    root: Path, github: GitHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tfwheel.system.console.verbose", True)
    (root / "pins.toml").write_text("a = 2\n")
    word = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    for name, value in {"COUNT": "1", "KEY_0": "user.name", "VALUE_0": "Tester"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    said, told = refused(
        Gate(), lambda remote: pull_request.propose(change_of(root), repository=repository_of(github), remote=remote)
    )
    assert told == f"Basic {word}"
    everything = f"{said}{capsys.readouterr()}"
    assert TOKEN not in everything
    assert word not in everything
    assert TOKEN not in repr(repository_of(github))


def test_the_door_wants_credentials_first_and_then_proposes(root: Path, github: GitHub) -> None:
    words = ["README.md", "--branch", "x", "--title", "y"]
    with pytest.raises(CommandError, match="TokenMissingError") as failure:
        run([sys.executable, DOOR, *words], env={"GITHUB_TOKEN": "", "GITHUB_REPOSITORY": githubapi.REPO})
    assert failure.value.returncode == TokenMissingError.exit_code
    here = DOOR.parents[1]
    if not (here / ".git").exists():
        pytest.skip("this is no git checkout: `git clone` the repository and work in there")
    git(root, "clone", "-q", "--bare", str(here), str(root.with_name("here.git")))
    git(root.with_name("here.git"), "branch", "-f", "main", git(here, "rev-parse", "HEAD"))
    environment = {"GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": githubapi.REPO, "GITHUB_API_URL": github.address}
    said = run(
        [sys.executable, DOOR, "LICENSE", "--branch", "x", "--title", "y", "--remote", root.with_name("here.git")],
        env=environment,
    )
    assert "no change: main has it already" in said
