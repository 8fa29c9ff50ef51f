"""Fake GitHub server with what this project uses: releases, assets, workflow runs, pull requests, issues, and pages.

Its state is in a folder, so that a killed rehearsal can resume. Reproduced behaviour: drafts are hidden without a token
and have other URLs, special characters in asset names are replaced, an asset name is unique in its release, an upload
that breaks off leaves an asset in state ``starter``, and a published release accepts no more files. Source:
docs.github.com/rest, "Releases", "Release assets", "Pulls", "Issues", "Workflow runs", and "Immutable releases".
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode, urlsplit

from fake_github import server
from fake_github.server import CHUNK, FakeServer, Response
from fake_github.state import Facts, State
from tfwheel.system import git
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fake_github.server import Body, Request

PAGES = "/pages/"
IDENTITY = "/identity"
BLOBS = "/blob"
JSON = "application/json; charset=utf-8"


@dataclass(kw_only=True)
class GitHub(FakeServer):
    """One repository (``repo`` is "owner/name") with its state in ``folder`` and its pages in the folder ``site``.

    ``origin`` is the bare git repository with its branches and tags.
    """

    folder: Path
    repo: str
    site: Path | None = None
    origin: Path | None = None
    _uploading: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def state(self) -> State:
        """The state; its kinds are release, asset, run, artifact, pull and issue."""
        return State(self.folder / "state.sqlite")

    @property
    def pages(self) -> str:
        """The URL of the site, ending with a slash."""
        return f"{self.address}{PAGES}"

    def answer(self, question: Request) -> Response:
        """See FakeServer."""
        place = question.place
        if place.startswith((f"/repos/{self.repo}/", f"/uploads/repos/{self.repo}/")):
            return self._api(question)
        if place == IDENTITY:
            return _json({"value": "an identity"})
        if place.startswith(PAGES) and self.site:
            return server.page(self.site, place.removeprefix(PAGES), question.headers)
        asset = self._downloadable(place.removeprefix(BLOBS))
        if asset is None:
            return _refusal(HTTPStatus.NOT_FOUND, "Not Found")
        if place.startswith(BLOBS):
            return server.blob(self._file(asset))
        return Response(status=302, headers={"Location": f"{self.address}{BLOBS}{urlsplit(question.path).path}"})

    # --- releases and assets -----------------------------------------------------------------------------

    def shown(self, release: Facts) -> Facts:
        """Return a release as the API shows it."""
        place = f"/repos/{self.repo}/releases/{release['id']}"
        links = {
            "url": f"{self.address}{place}",
            "upload_url": f"{self.address}/uploads{place}/assets{{?name,label}}",
            "html_url": f"{self.address}/{self.repo}/releases/tag/{self._folder_of(release)}",
        }
        return {"immutable": not release["draft"], **links, **release, "assets": self.assets_of(release)}

    def assets_of(self, release: Facts) -> list[Facts]:
        """Return the assets of a release as the API shows them."""
        return [self.shown_asset(release, asset) for asset in self.state.all("asset", parent=release["id"])]

    def shown_asset(self, release: Facts, asset: Facts) -> Facts:
        """Return one asset as the API shows it."""
        base = f"{self.address}/{self.repo}/releases/download/{self._folder_of(release)}/"
        return {"browser_download_url": base + quote(asset["name"], safe=""), **asset}

    def renamed(self, name: str) -> str:
        """Return the name under which GitHub stores an asset."""
        return re.sub(r"[^A-Za-z0-9._+-]+", ".", name).strip(".")

    def keep(self, asset: Facts, body: Body) -> Facts:
        """Receive the bytes of an asset; if the body breaks off, it stays in state ``starter``."""
        digest, size = hashlib.sha256(), 0
        self._file(asset).parent.mkdir(parents=True, exist_ok=True)
        with self._file(asset).open("wb") as stream:
            while data := body.read(CHUNK):
                digest.update(data)
                size += stream.write(data)
        if body.left:
            return asset
        facts = {"state": "uploaded", "size": size, "digest": f"sha256:{digest.hexdigest()}", "updated_at": _now()}
        return self.state.save(asset | facts)

    def _file(self, asset: Facts) -> Path:
        return self.folder / "blobs" / str(asset["id"])

    def _folder_of(self, release: Facts) -> str:
        """Return the part of URLs for a release: a draft has no tag yet."""
        if release["draft"]:
            return "untagged-" + hashlib.sha256(str(release["id"]).encode()).hexdigest()[:20]
        return quote(release["tag_name"], safe="")

    def _downloadable(self, place: str) -> Facts | None:
        """Find the asset at a public URL; assets of drafts have none."""
        for release in self.state.all("release"):
            start = f"/{self.repo}/releases/download/{unquote(self._folder_of(release))}/"
            if place.startswith(start) and not release["draft"]:
                named = self.state.all("asset", parent=release["id"])
                return next((asset for asset in named if asset["name"] == place.removeprefix(start)), None)
        return None

    # --- the API -----------------------------------------------------------------------------------------

    def _api(self, question: Request) -> Response:
        method, token = question.method, question.headers.get("Authorization")
        if method != "GET" and not token:
            return _refusal(HTTPStatus.UNAUTHORIZED, "Requires authentication")
        place = question.place.removeprefix("/uploads").removeprefix(f"/repos/{self.repo}/")
        noun, _, rest = re.sub(r"\d+", "N", place).partition("/")
        numbers = [int(number) for number in re.findall(r"/(\d+)(?=/|$)", f"/{place}")]
        name = f"_{method}_{noun}" + (f"_{rest.replace('/', '_')}" if rest else "")
        if noun == "actions":
            return self._actions(question, place, numbers)
        if place.startswith("pages/deployments"):
            return self._pages(question, place.removeprefix("pages/deployments").strip("/"))
        if noun == "compare":
            return self._compare(*place.removeprefix("compare/").split("...", 1))
        action = getattr(self, name.lower(), None)
        return action(question, *numbers) if action else _refusal(HTTPStatus.NOT_FOUND, "Not Found")

    def _get_releases(self, question: Request) -> Response:
        known = question.headers.get("Authorization")
        found = [release for release in self.state.all("release") if known or not release["draft"]]
        return self._listed(question, [self.shown(release) for release in reversed(found)])

    def _get_releases_n_assets(self, question: Request, number: int) -> Response:
        release = self.state.find("release", number)
        return self._listed(question, self.assets_of(release)) if release else _refusal(404, "Not Found")

    def _post_releases(self, question: Request) -> Response:
        facts: Facts = {"draft": False, "prerelease": False, "name": None, "body": None, "published_at": None}
        facts |= json.loads(question.body.rest())
        if not facts["draft"]:
            if self._is_taken(facts["tag_name"]):
                return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed", "Release", "tag_name")
            facts["published_at"] = _now()
        return _json(self.shown(self.state.add("release", facts | {"created_at": _now()})), HTTPStatus.CREATED)

    def _patch_releases_n(self, question: Request, number: int) -> Response:
        release, changes = self.state.find("release", number), json.loads(question.body.rest())
        if release is None:
            return _refusal(HTTPStatus.NOT_FOUND, "Not Found")
        if release["draft"] and changes.get("draft") is False:
            if self._is_taken(release["tag_name"]):
                return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed", "Release", "tag_name")
            changes["published_at"] = _now()
        return _json(self.shown(self.state.save(release | changes)))

    def _post_releases_n_assets(self, question: Request, number: int) -> Response:
        release, name = self.state.find("release", number), self.renamed(question.query["name"])
        if release is None:
            return _refusal(HTTPStatus.NOT_FOUND, "Not Found")
        if not release["draft"]:
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Cannot upload assets to an immutable release.")
        with self._uploading:
            if any(asset["name"] == name for asset in self.assets_of(release)):
                return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed", "ReleaseAsset", "name")
            facts = {"name": name, "state": "starter", "size": 0, "digest": None, "updated_at": _now()}
            asset = self.state.add("asset", facts, parent=number)
        return _json(self.shown_asset(release, self.keep(asset, question.body)), HTTPStatus.CREATED)

    def _delete_releases_assets_n(self, _question: Request, number: int) -> Response:
        asset = self.state.find("asset", number)
        if asset is None:
            return _refusal(HTTPStatus.NOT_FOUND, "Not Found")
        self.state.drop(number)
        self._file(asset).unlink(missing_ok=True)
        return Response(status=HTTPStatus.NO_CONTENT)

    def _is_taken(self, tag: str) -> bool:
        return any(release["tag_name"] == tag and not release["draft"] for release in self.state.all("release"))

    def _actions(self, question: Request, place: str, numbers: Sequence[int]) -> Response:
        workflow = re.fullmatch(r"actions/workflows/([\w.-]+)/(runs|dispatches)", place)
        if workflow and workflow[2] == "dispatches":
            return self._start(question, workflow[1])
        if workflow:
            runs = [run for run in self.state.all("run") if run["path"].endswith(f"/{workflow[1]}")]
            sha, branch = question.query.get("head_sha"), question.query.get("branch")
            found = [run for run in reversed(runs) if sha in (None, run["head_sha"])]
            found = [run for run in found if branch in (None, run.get("head_branch"))]
            return self._listed(question, found, key="workflow_runs")
        if re.fullmatch(r"actions/runs/\d+/artifacts", place):
            return self._listed(question, self.state.all("artifact", parent=numbers[0]), key="artifacts")
        return _refusal(HTTPStatus.NOT_FOUND, "Not Found")

    def _start(self, question: Request, workflow: str) -> Response:
        """Add a run of a workflow that was started by hand for a branch or tag."""
        ref = json.loads(question.body.rest())["ref"]
        commit = self._commit(ref)
        if commit is None:
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"No ref found for: {ref}")
        facts = {"path": f".github/workflows/{workflow}", "head_sha": commit, "head_branch": ref, "status": "queued"}
        facts |= {"event": "workflow_dispatch", "conclusion": None, "head_repository": {"full_name": self.repo}}
        self.state.add("run", facts)
        return Response(status=HTTPStatus.NO_CONTENT)

    def _pages(self, question: Request, version: str) -> Response:
        """Deploy an artifact, a folder, to the site, or return the state of a deployment.

        As on GitHub, the version must be a commit, and identifies the deployment: another one of the same version is
        reported as done, and what it has is never shown.
        """
        known = {found["version"] for found in self.state.all("deployment")}
        if question.method == "GET":
            return _json({"status": "succeed"}) if version in known else _refusal(HTTPStatus.NOT_FOUND, "Not Found")
        facts = json.loads(question.body.rest())
        version, artifact = facts["pages_build_version"], self.state.find("artifact", facts["artifact_id"])
        if self._commit(version) != version or artifact is None or not facts["oidc_token"]:
            return _refusal(HTTPStatus.NOT_FOUND, "Not Found")
        if version not in known and self.site:
            shutil.rmtree(self.site, ignore_errors=True)
            shutil.copytree(artifact["folder"], self.site)
            self.state.add("deployment", {"version": version})
        return _json({"id": version, "status_url": f"{self.address}{question.place}/{version}"})

    def _compare(self, base: str, head: str) -> Response:
        """Compare a commit with a branch, by git."""
        left, right = self._commit(base), self._commit(head)
        if left is None or right is None:
            return _refusal(HTTPStatus.NOT_FOUND, "Not Found")
        behind, ahead = map(int, self._git("rev-list", "--left-right", "--count", f"{left}...{right}").split())
        words = {(False, False): "identical", (True, False): "behind", (False, True): "ahead"}
        status = words.get((behind > 0, ahead > 0), "diverged")
        return _json({"status": status, "ahead_by": ahead, "behind_by": behind, "commits": []})

    def _commit(self, name: str) -> str | None:
        """Return the commit of a branch, a tag or a full commit; None if the repository has none of that name."""
        found = None
        for place in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            with suppress(CommandError):
                found = found or self._git("rev-parse", "--verify", "-q", f"{place}^{{commit}}").strip()
        return found

    def _git(self, *words: str) -> str:
        return git.run(*words, at=self.origin or self.folder)

    def _get_pulls(self, question: Request) -> Response:
        query, owner = question.query, self.repo.split("/", maxsplit=1)[0]
        found = [
            pull
            for pull in reversed(self.state.all("pull"))
            if query.get("state", "open") in ("all", pull["state"])
            and query.get("head") in (None, f"{owner}:{pull['head']['ref']}")
            and query.get("base") in (None, pull["base"]["ref"])
        ]
        return self._listed(question, found)

    def _post_pulls(self, question: Request) -> Response:
        facts = json.loads(question.body.rest())
        pulls = self.state.all("pull")
        if any(pull["state"] == "open" and pull["head"]["ref"] == facts["head"] for pull in pulls):
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed", "PullRequest", "head")
        facts |= {"head": {"ref": facts["head"]}, "base": {"ref": facts["base"]}, "state": "open"}
        facts |= {"number": len(pulls) + 1, "html_url": f"{self.address}/{self.repo}/pull/{len(pulls) + 1}"}
        return _json(self.state.add("pull", facts), HTTPStatus.CREATED)

    def _patch_pulls_n(self, question: Request, number: int) -> Response:
        pull = next((pull for pull in self.state.all("pull") if pull["number"] == number), None)
        if pull is None:
            return _refusal(HTTPStatus.NOT_FOUND, "Not Found")
        return _json(self.state.save(pull | json.loads(question.body.rest())))

    def _get_issues(self, question: Request) -> Response:
        label, state = question.query.get("labels"), question.query.get("state", "open")
        found = [
            issue
            for issue in reversed(self.state.all("issue"))
            if state in ("all", issue["state"]) and label in (None, *(one["name"] for one in issue["labels"]))
        ]
        return self._listed(question, found)

    def _post_issues(self, question: Request) -> Response:
        facts, number = json.loads(question.body.rest()), len(self.state.all("issue")) + 1
        facts |= {"number": number, "state": "open", "labels": [{"name": name} for name in facts.get("labels", ())]}
        facts |= {"html_url": f"{self.address}/{self.repo}/issues/{number}"}
        return _json(self.state.add("issue", facts), HTTPStatus.CREATED)

    def _patch_issues_n(self, question: Request, number: int) -> Response:
        issue = next((issue for issue in self.state.all("issue") if issue["number"] == number), None)
        if issue is None:
            return _refusal(HTTPStatus.NOT_FOUND, "Not Found")
        return _json(self.state.save(issue | json.loads(question.body.rest())))

    def _listed(self, question: Request, items: Sequence[Facts], *, key: str = "") -> Response:
        """Return one page of a list, with ETag and the link to the next page (RFC 8288)."""
        size = min(int(question.query.get("per_page", 30)), 100)
        number = int(question.query.get("page", 1))
        part = list(items[(number - 1) * size : number * size])
        reply = _json({"total_count": len(items), key: part} if key else part)
        shown = json.dumps(part).encode()
        reply.headers["ETag"] = f'W/"{hashlib.sha256(shown).hexdigest()}"'
        if number * size < len(items):
            start = f"{self.address}{quote(question.place)}?"
            following = start + urlencode(question.query | {"page": number + 1})
            last = start + urlencode(question.query | {"page": -(-len(items) // size)})
            reply.headers["Link"] = f'<{following}>; rel="next", <{last}>; rel="last"'
        if question.headers.get("If-None-Match") == reply.headers["ETag"]:
            return Response(status=HTTPStatus.NOT_MODIFIED, headers=reply.headers)
        return reply


def _json(data: object, status: int = 200) -> Response:
    return Response(status=status, headers={"Content-Type": JSON}, body=json.dumps(data).encode())


def _refusal(status: int, message: str, resource: str = "", name: str = "") -> Response:
    errors = [{"resource": resource, "code": "already_exists", "field": name}] if resource else []
    return _json({"message": message, "errors": errors, "status": str(int(status))}, status)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
