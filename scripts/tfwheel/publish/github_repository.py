"""Client for one GitHub repository: drafts, uploads, publishing, workflow runs, pull requests, issues.

Source: docs.github.com/rest, "Releases", "Release assets", "Workflow runs", "Artifacts", "Pulls", "Issues". A draft is
only in the list of releases (by its tag the API answers 404), and its files have other URLs until it is published. A
request that changes something is only repeated if that does no harm.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec
from packaging.version import Version

from tfwheel.publish import github_api
from tfwheel.publish.errors import HostAnswerError, ReleaseExistsError, TokenMissingError
from tfwheel.publish.github_api import AssetData, GithubApi, Numbered, ReleaseData
from tfwheel.system import web

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Shape = TypeVar("Shape")
UPLOAD_TIMEOUT_S = 600  # after 600 MB are sent, the host is silent while it computes their digest
UNFINISHED = "starter"  # the state of an asset whose upload broke off
TRUSTED_EVENTS = {"push", "schedule", "workflow_dispatch"}  # a pull request may build a stranger's code


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A repository by its name, "owner/name"."""

    full_name: str = ""


class Run(Numbered, frozen=True, kw_only=True):
    """A run of a workflow; ``conclusion`` is None while it is running.

    It ran for the commit ``head_sha`` of ``head_branch`` (a tag's name for a tag) in ``head_repository``: that of a
    fork for a pull request from there, None if the fork is gone.
    """

    status: str
    conclusion: str | None = None
    event: str = ""
    html_url: str = ""
    head_sha: str = ""
    head_branch: str | None = None
    head_repository: Named | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How a commit relates to a branch: "identical", "behind" (an ancestor), "ahead" or "diverged"."""

    status: str


class Artifact(Numbered, frozen=True, kw_only=True):
    """An artifact of a run; if ``expired``, it can no longer be downloaded."""

    name: str
    expired: bool = False


class Pull(Numbered, frozen=True, kw_only=True):
    """A pull request."""

    number: int
    title: str
    body: str | None = None
    html_url: str = ""


class Issue(Numbered, frozen=True, kw_only=True):
    """An issue; ``pull_request`` is there if it is a pull request."""

    number: int
    title: str
    body: str | None = None
    html_url: str = ""
    pull_request: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository on GitHub: its API, and the server's URL ``web`` ("https://github.com", no trailing slash)."""

    api: GithubApi
    web: str = "https://github.com"

    @classmethod
    def of_environment(cls, repository: str) -> Repository:
        """Use the repository, token and URLs of CI's environment; TokenMissingError without a token or repository."""
        repository = repository or os.environ.get("GITHUB_REPOSITORY", "")
        if not repository:
            message = "no repository: `repository` in build_config/index.toml and $GITHUB_REPOSITORY are both empty"
            raise TokenMissingError(message, remedy='Write repository = "owner/name" into build_config/index.toml.')
        token = os.environ.get("GITHUB_TOKEN")
        if not token:
            message = f"$GITHUB_TOKEN is not set, so nothing can be released to {repository}"
            raise TokenMissingError(message)
        api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        web = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        return cls(api=GithubApi(api=api, repo=repository, token=token), web=web)

    @property
    def remote(self) -> str:
        """The URL that git pushes to."""
        return f"{self.web}/{self.api.repo}.git"

    # --- releases ----------------------------------------------------------------------------------------

    def release_of(self, tag: str) -> ReleaseData | None:
        """Find the release of a tag, published or a draft; ReleaseExistsError when several drafts have that tag."""
        found = [release for release in self.api.releases() if release.tag_name == tag]
        published = [release for release in found if not release.draft]
        if len(published or found) > 1:
            message = f"{self.api.repo} has {len(found)} drafts for {tag}"
            raise ReleaseExistsError(message, remedy="Delete all of them but one on the page of releases.")
        return next(iter(published or found), None)

    def draft(self, tag: str, *, commit: str, notes: str) -> ReleaseData:
        """Create a draft, or find the one from a request whose response was lost."""
        early = Version(tag.removeprefix("v")).is_prerelease  # GitHub shows such a one never as the latest
        facts = {
            "tag_name": tag,
            "target_commitish": commit,
            "name": tag,
            "body": notes,
            "draft": True,
            "prerelease": early,
        }
        try:
            return self._send("POST", "releases", facts, ReleaseData, accepted={HTTPStatus.CREATED}, again=False)
        except HostAnswerError:
            made = self.release_of(tag)
            if made is None:
                raise
            return made

    def publish(self, release: ReleaseData) -> ReleaseData:
        """Publish a draft; idempotent, also when the first response was lost."""
        try:
            return self._send("PATCH", f"releases/{release.id}", {"draft": False}, ReleaseData)
        except HostAnswerError:
            now = self.release_of(release.tag_name)
            if now is None or now.draft or now.id != release.id:
                raise
            return now

    def delete(self, asset: AssetData) -> None:
        """Delete a file from a draft; a file that is already gone is not an error."""
        url = f"{self._base}/releases/assets/{asset.id}"
        gone = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}
        github_api.patiently(url, lambda: web.ask(url, method="DELETE", headers=self.api.headers), gone)

    def upload(self, release: ReleaseData, name: str, source: IO[bytes]) -> AssetData:
        """Upload one file as a stream, never twice: a broken upload leaves an asset of that name behind."""
        url = f"{release.upload_url.partition('{')[0]}?name={quote(name, safe='')}"
        headers = self.api.headers | {"Content-Type": "application/octet-stream"}
        start = source.tell()

        def send() -> web.Answer:
            source.seek(start)
            return web.ask(url, method="POST", headers=headers, body=source, timeout_s=UPLOAD_TIMEOUT_S)

        answer = github_api.patiently(url, send, {HTTPStatus.CREATED}, again=False)
        return decoded(answer.body, AssetData, url)

    # --- runs --------------------------------------------------------------------------------------------

    def runs(self, workflow: str, *, commit: str, branch: str) -> list[Run]:
        """List the runs of a workflow ("wheels.yml") for a commit of a branch of this repository, newest first.

        Those of pull requests, forks, other branches and tags are left out, whatever the API's own filter does.
        """
        place = f"actions/workflows/{workflow}/runs?head_sha={commit}&branch={quote(branch, safe='')}"
        found = self.api.listed(place, Run, key="workflow_runs")
        return [run for run in found if run.event in TRUSTED_EVENTS and self._is_of(run, commit, branch)]

    def _is_of(self, run: Run, commit: str, branch: str) -> bool:
        ours = run.head_repository is not None and run.head_repository.full_name == self.api.repo
        return ours and (run.head_sha, run.head_branch) == (commit, branch)

    def has(self, branch: str, commit: str) -> bool:
        """Return whether a commit is the newest one of a branch or an ancestor of it; HostAnswerError if unknown."""
        url = f"{self._base}/compare/{quote(branch, safe='')}...{commit}?per_page=1"
        found = decoded(github_api.fetch(url, self.api.headers).body, Comparison, url)
        return found.status in ("identical", "behind")

    def start(self, workflow: str, *, branch: str) -> None:
        """Start a workflow by hand for the newest commit of a branch."""
        url, body = f"{self._base}/actions/workflows/{workflow}/dispatches", msgspec.json.encode({"ref": branch})
        headers = self.api.headers | {"Content-Type": "application/json"}
        started = {HTTPStatus.NO_CONTENT, HTTPStatus.OK}
        github_api.patiently(url, lambda: web.ask(url, method="POST", headers=headers, body=body), started)

    def artifacts(self, run: Run) -> set[str]:
        """Return the names of a run's artifacts that can still be downloaded."""
        found = self.api.listed(f"actions/runs/{run.id}/artifacts", Artifact, key="artifacts")
        return {artifact.name for artifact in found if not artifact.expired}

    # --- pull requests -----------------------------------------------------------------------------------

    def propose(self, *, branch: str, base: str, title: str, body: str) -> Pull:
        """Create or update the one open pull request of a branch, and return it."""
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
        head = quote(f"{self.api.repo.partition('/')[0]}:{branch}", safe="")
        found = self.api.listed(f"pulls?state=open&head={head}&base={quote(base, safe='')}", Pull)
        return next(iter(found), None)

    # --- issues ------------------------------------------------------------------------------------------

    def standing_issue(self, label: str) -> Issue | None:
        """Find the oldest open issue with a label, None without one; GitHub lists pull requests, too."""
        found = self.api.listed(f"issues?state=open&labels={quote(label, safe='')}", Issue)
        return min((one for one in found if one.pull_request is None), key=lambda one: one.number, default=None)

    def open_issue(self, *, title: str, body: str, label: str) -> Issue:
        """Open an issue with one label, and return it; the one of a request whose response was lost counts."""
        facts = {"title": title, "body": body, "labels": [label]}
        try:
            return self._send("POST", "issues", facts, Issue, accepted={HTTPStatus.CREATED}, again=False)
        except HostAnswerError:
            made = self.standing_issue(label)
            if made is None:
                raise
            return made

    def edit_issue(self, issue: Issue, **facts: str) -> Issue:
        """Change title, body or state of an issue; idempotent."""
        return self._send("PATCH", f"issues/{issue.number}", facts, Issue)

    # --- requests ----------------------------------------------------------------------------------------

    @property
    def _base(self) -> str:
        return f"{self.api.api}/repos/{self.api.repo}"

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
        """Send facts as JSON and return the decoded response."""
        url, body = f"{self._base}/{place}", msgspec.json.encode(facts)
        headers = self.api.headers | {"Content-Type": "application/json"}
        answer = github_api.patiently(
            url, lambda: web.ask(url, method=method, headers=headers, body=body), accepted, again=again
        )
        return decoded(answer.body, shape, url)


def decoded(body: bytes, shape: type[Shape], url: str) -> Shape:
    """Decode a response; HostAnswerError for anything else than that shape."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.MsgspecError as error:
        message = f"{url}: unexpected response ({error}): {body[:80].decode(errors='replace')!r}"
        raise HostAnswerError(message) from error
