"""What a release asks of GitHub beyond reading: drafts, uploads, publishing, runs of a workflow, pull requests.

Source: docs.github.com/rest, "Releases", "Release assets", "Workflow runs", "Artifacts", "Pulls". A draft is found in
the list of releases only (by its tag the API answers 404), and its files have addresses of their own until it is
published. A question that changes something is asked again only where asking twice does no harm.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from tfwheel.publish import github_api
from tfwheel.publish.errors import HostAnswerError, ReleaseExistsError, TokenMissingError
from tfwheel.publish.github_api import AssetData, GithubApi, Numbered, ReleaseData
from tfwheel.system import web

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Shape = TypeVar("Shape")
UPLOAD_TIMEOUT_S = 600  # without an answer, after 600 MB were sent and while the host takes their digest
UNFINISHED = "starter"  # the state of an asset whose upload broke off
TRUSTED_EVENTS = {"push", "schedule", "workflow_dispatch"}  # a pull request's run builds what a stranger may have sent


class Run(Numbered, frozen=True, kw_only=True):
    """A run of a workflow; ``conclusion`` is None while it goes on."""

    status: str
    conclusion: str | None = None
    event: str = ""
    html_url: str = ""


class Artifact(Numbered, frozen=True, kw_only=True):
    """What a run left; ``expired`` ones are gone."""

    name: str
    expired: bool = False


class Pull(Numbered, frozen=True, kw_only=True):
    """A pull request."""

    number: int
    title: str
    body: str | None = None
    html_url: str = ""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository on GitHub: its API, and ``web``, where people see it ("https://github.com", no slash at its end)."""

    host: GithubApi
    web: str = "https://github.com"

    @classmethod
    def of_environment(cls, repository: str) -> Repository:
        """The one that CI's environment names; TokenMissingError without $GITHUB_TOKEN or a repository."""
        repository = repository or os.environ.get("GITHUB_REPOSITORY", "")
        if not repository:
            message = "which repository? `repository` in build_config/index.toml is empty, and so is $GITHUB_REPOSITORY"
            raise TokenMissingError(message, remedy='Write repository = "owner/name" into build_config/index.toml.')
        token = os.environ.get("GITHUB_TOKEN")
        if not token:
            message = f"$GITHUB_TOKEN is not set, so nothing can be released to {repository}"
            raise TokenMissingError(message)
        api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        web = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        return cls(host=GithubApi(api=api, repo=repository, token=token), web=web)

    @property
    def remote(self) -> str:
        """What git pushes to."""
        return f"{self.web}/{self.host.repo}.git"

    # --- releases ----------------------------------------------------------------------------------------

    def release_of(self, tag: str) -> ReleaseData | None:
        """The release of a tag, published or a draft; ReleaseExistsError where several drafts claim it."""
        found = [release for release in self.host.releases() if release.tag_name == tag]
        published = [release for release in found if not release.draft]
        if len(published or found) > 1:
            message = f"{self.host.repo} has {len(found)} drafts for {tag}"
            raise ReleaseExistsError(message, remedy="Delete all of them but one on the page of releases.")
        return next(iter(published or found), None)

    def draft(self, tag: str, *, commit: str, notes: str) -> ReleaseData:
        """A new draft, or the one that an earlier try made although its answer was lost."""
        facts = {"tag_name": tag, "target_commitish": commit, "name": tag, "body": notes, "draft": True}
        try:
            return self._send("POST", "releases", facts, ReleaseData, accepted={HTTPStatus.CREATED}, again=False)
        except HostAnswerError:
            made = self.release_of(tag)
            if made is None:
                raise
            return made

    def publish(self, release: ReleaseData) -> ReleaseData:
        """Show a draft to the world; asking twice is the same as once, also where the first answer was lost."""
        try:
            return self._send("PATCH", f"releases/{release.id}", {"draft": False}, ReleaseData)
        except HostAnswerError:
            now = self.release_of(release.tag_name)
            if now is None or now.draft or now.id != release.id:
                raise
            return now

    def delete(self, asset: AssetData) -> None:
        """Take a file out of a draft; one that is gone already is no failure."""
        url = f"{self._base}/releases/assets/{asset.id}"
        gone = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}
        github_api.patiently(url, lambda: web.ask(url, method="DELETE", headers=self.host.headers), gone)

    def upload(self, release: ReleaseData, name: str, source: IO[bytes]) -> AssetData:
        """Send one file, piece by piece; never twice, because a broken try leaves an asset of that name behind."""
        url = f"{release.upload_url.partition('{')[0]}?name={quote(name, safe='')}"
        headers = self.host.headers | {"Content-Type": "application/octet-stream"}
        start = source.tell()

        def send() -> web.Answer:
            source.seek(start)
            return web.ask(url, method="POST", headers=headers, body=source, timeout_s=UPLOAD_TIMEOUT_S)

        answer = github_api.patiently(url, send, {HTTPStatus.CREATED}, again=False)
        return _decoded(answer.body, AssetData, url)

    # --- runs --------------------------------------------------------------------------------------------

    def runs(self, workflow: str, *, commit: str) -> list[Run]:
        """The runs of a workflow ("wheels.yml") for that commit that no stranger can have started, newest first."""
        place = f"actions/workflows/{workflow}/runs?head_sha={commit}"
        found = self.host.listed(place, Run, key="workflow_runs")
        return [run for run in found if run.event in TRUSTED_EVENTS]

    def artifacts(self, run: Run) -> set[str]:
        """The names of what a run left and can still be downloaded."""
        found = self.host.listed(f"actions/runs/{run.id}/artifacts", Artifact, key="artifacts")
        return {artifact.name for artifact in found if not artifact.expired}

    # --- pull requests -----------------------------------------------------------------------------------

    def propose(self, *, branch: str, base: str, title: str, body: str) -> Pull:
        """The one open pull request of a branch, made or brought up to date."""
        pull = self._open_pull(branch, base)
        facts: dict[str, Any] = {"title": title, "body": body}
        if pull is None:
            try:
                created = {HTTPStatus.CREATED}
                wanted = facts | {"head": branch, "base": base}
                return self._send("POST", "pulls", wanted, Pull, accepted=created, again=False)
            except HostAnswerError:
                pull = self._open_pull(branch, base)  # made after all, or by somebody else
                if pull is None:
                    raise
        if (pull.title, pull.body) == (title, body):
            return pull
        return self._send("PATCH", f"pulls/{pull.number}", facts, Pull)

    def _open_pull(self, branch: str, base: str) -> Pull | None:
        head = quote(f"{self.host.repo.partition('/')[0]}:{branch}", safe="")
        found = self.host.listed(f"pulls?state=open&head={head}&base={quote(base, safe='')}", Pull)
        return next(iter(found), None)

    # --- asking ------------------------------------------------------------------------------------------

    @property
    def _base(self) -> str:
        return f"{self.host.api}/repos/{self.host.repo}"

    def _send(
        self,
        method: str,
        place: str,
        facts: Mapping[str, Any],
        shape: type[Shape],
        *,
        accepted: Collection[int] = (HTTPStatus.OK,),
        again: bool = True,
    ) -> Shape:
        """Send facts as JSON and return what the API answers."""
        url, body = f"{self._base}/{place}", msgspec.json.encode(facts)
        headers = self.host.headers | {"Content-Type": "application/json"}
        answer = github_api.patiently(
            url, lambda: web.ask(url, method=method, headers=headers, body=body), accepted, again=again
        )
        return _decoded(answer.body, shape, url)


def _decoded(body: bytes, shape: type[Shape], url: str) -> Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.MsgspecError as error:
        message = f"{url}: not the answer it must be ({error}): {body[:80].decode(errors='replace')!r}"
        raise HostAnswerError(message) from error
