"""Deployments to a stand-in for GitHub Pages, which shows a version once, as the real one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import requests

import githubapi
import releasing
from tfwheel.publish import github_pages
from tfwheel.publish.errors import DeploymentError, HostAnswerError
from tfwheel.publish.github_api import GithubApi
from tfwheel.publish.github_repository import Repository
from tfwheel.system import web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from githubapi import GitHub


class World:
    """A repository with two commits, its pages, and artifacts to deploy."""

    def __init__(self, folder: Path, github: GitHub) -> None:
        self.folder, self.github, self.origin = folder, github, folder / "origin"
        self.origin.mkdir()
        releasing.git(self.origin, "init", "-q", "-b", "main")
        self.commits = [self.commit(str(number)) for number in range(2)][::-1]
        github.origin, github.site = self.origin, folder / "site"
        self.repository = Repository(api=GithubApi(api=github.address, repo=githubapi.REPO, token="t"))  # noqa: S106

    def commit(self, text: str) -> str:
        (self.origin / "file").write_text(text)
        return releasing.commit(self.origin)

    def artifact(self, text: str) -> int:
        folder = self.folder / text
        folder.mkdir()
        (folder / "index.html").write_text(text)
        run = self.github.run(self.commits[0])
        return int(self.github.state.add("artifact", {"name": "p", "folder": str(folder)}, parent=run["id"])["id"])

    def deploy(self, text: str) -> str:
        found = github_pages.history(self.origin)
        return github_pages.deploy(self.repository, self.artifact(text), history=found, timeout_s=0)

    def shown(self) -> str:
        return requests.get(self.github.pages, timeout=10).text


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """See World; the job may ask who it is."""
    with githubapi.running() as github:
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{github.address}/identity?api-version=2.0")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret")
        yield World(tmp_path, github)


def test_a_second_deployment_of_one_commit_is_reported_as_done_and_never_shown(world: World) -> None:
    """What actions/deploy-pages does: the version is the commit of the run."""
    headers = world.repository.api.headers
    url = f"{world.github.address}/repos/{githubapi.REPO}/pages/deployments"
    for text in ("first", "second"):
        facts = {"artifact_id": world.artifact(text), "pages_build_version": world.commits[0], "oidc_token": "x"}
        assert web.ask(url, method="POST", headers=headers, body=msgspec.json.encode(facts)).status == 200
        assert requests.get(f"{url}/{world.commits[0]}", timeout=10).json() == {"status": "succeed"}
    assert world.shown() == "first"


def test_each_deployment_is_shown_whatever_commit_the_run_has(world: World) -> None:
    assert world.deploy("a-release") == world.commits[0]
    assert world.deploy("rolled-back") == world.commits[1]
    assert world.shown() == "rolled-back"
    with pytest.raises(DeploymentError, match="every commit of this checkout was deployed"):
        world.deploy("no-commit-left")
    assert world.shown() == "rolled-back"
    newest = world.commit("more")
    assert world.deploy("the-next") == newest
    assert world.shown() == "the-next"


def test_a_version_that_is_no_commit_is_refused(world: World) -> None:
    with pytest.raises(DeploymentError, match="pages/deployments answered 404"):
        github_pages.deploy(world.repository, world.artifact("x"), history=[f"{world.commits[0]}-1"])


@pytest.mark.parametrize("state", ["deployment_failed", "syncing_files"])
def test_a_deployment_that_fails_or_never_ends_is_an_error(world: World, state: str) -> None:
    def change(reply: githubapi.Response) -> None:
        reply.body = msgspec.json.encode({"status": state})

    world.deploy("first")
    world.github.faults += [(f"^GET .*/deployments/{world.commits[1]}", lambda _: None)]
    world.github.faults += [(f"^GET .*/deployments/{world.commits[1]}", change)]
    with pytest.raises(DeploymentError, match=f"is `{state}`, not `succeed`"):
        world.deploy("second")


def test_without_an_identity_nothing_is_deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.github.fault("^GET /identity", githubapi.html_with_200)
    with pytest.raises(HostAnswerError):
        world.deploy("odd")
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    with pytest.raises(DeploymentError, match="has no identity"):
        world.deploy("nobody")
    assert not world.github.state.all("deployment")
