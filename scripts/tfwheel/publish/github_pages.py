"""Deploys a site to GitHub Pages, each time as another version, so that it is shown.

``actions/deploy-pages`` takes the commit of its run as the version (``pages_build_version``). Pages identifies a
deployment by that version: a second one of the same commit is reported as done and may never be shown, which would hit
every roll-back, every repeated run, and two releases on one commit (actions/deploy-pages#383). The version must be a
commit of the repository. So this module takes the newest commit that was never deployed, from HEAD back.

Source: docs.github.com/rest, "Pages: create a deployment"; the source of actions/deploy-pages v5.0.0.
"""

from __future__ import annotations

import os
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from tfwheel.publish import github_api
from tfwheel.publish.errors import DeploymentError
from tfwheel.publish.github_repository import decoded
from tfwheel.system import console, git, web

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tfwheel.publish.github_repository import Repository

DONE = "succeed"
FAILED = {
    "deployment_failed",
    "deployment_content_failed",
    "deployment_cancelled",
    "deployment_lost",
    "deployment_perms_error",
}
TIMEOUT_S = 600.0
PAUSE_S = 5.0
COMMITS = 1000  # of the history, newest first


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment, or its state."""

    status: str = ""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The token with which GitHub says which run this is (OpenID Connect)."""

    value: str


def deploy(repository: Repository, artifact: int, *, history: Iterable[str], timeout_s: float = TIMEOUT_S) -> str:
    """Deploy an artifact of this run as a version of its own; returns the version, a commit.

    ``artifact`` is the number of an artifact as ``actions/upload-pages-artifact`` makes it, ``history`` the commits
    that may be the version, in order. Raises DeploymentError when Pages refuses it, fails, or takes longer than
    ``timeout_s``, and HostAnswerError when the API cannot be reached.
    """
    version = next((commit for commit in history if _state(repository, commit) is None), None)
    if version is None:
        message = "every commit of this checkout was deployed to Pages before, and each can be deployed only once"
        raise DeploymentError(message, remedy="Push a commit to main, which starts a deployment of its own.")
    facts = {"artifact_id": artifact, "pages_build_version": version, "oidc_token": _identity()}
    url, body = _place(repository), msgspec.json.encode(facts)
    headers = repository.api.headers | {"Content-Type": "application/json"}
    answer = web.ask(url, method="POST", headers=headers, body=body)
    if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        message = f"{url} answered {answer.status}: {answer.body[:200].decode(errors='replace')!r}"
        raise DeploymentError(message)
    _wait(repository, version, timeout_s)
    console.say(f"  artifact {artifact} is deployed as version {version}")
    return version


def history(root: Path) -> list[str]:
    """Return the newest commits of a checkout, HEAD first."""
    return git.run("rev-list", f"--max-count={COMMITS}", "HEAD", at=root).split()


def _wait(repository: Repository, version: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while (state := _state(repository, version)) != DONE:
        if state in FAILED or time.monotonic() + PAUSE_S > deadline:
            message = f"the deployment of version {version} is `{state}`, not `{DONE}`"
            raise DeploymentError(message)
        time.sleep(PAUSE_S)


def _state(repository: Repository, version: str) -> str | None:
    """Return the state of the deployment of a version, None if that was never deployed."""
    url = f"{_place(repository)}/{version}"
    known = {HTTPStatus.OK, HTTPStatus.NOT_FOUND}
    answer = github_api.patiently(url, lambda: web.ask(url, headers=repository.api.headers), known)
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    return decoded(answer.body, Deployment, url).status


def _identity() -> str:
    """Ask GitHub for the identity of this run; it is there for a job with the permission `id-token: write` only."""
    url, token = (os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
    if not url or not token:
        message = "this job has no identity: $ACTIONS_ID_TOKEN_REQUEST_URL is not set"
        raise DeploymentError(message, remedy="Give the job the permission `id-token: write`; deploy from a workflow.")
    answer = github_api.fetch(url, {"Authorization": f"Bearer {token}"})
    return decoded(answer.body, Identity, url).value


def _place(repository: Repository) -> str:
    return f"{repository.api.api}/repos/{repository.api.repo}/pages/deployments"
