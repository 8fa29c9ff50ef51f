"""The fake GitHub server as tests use it: everything it was asked is kept, and faults can be ordered."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake_github import api, server
from fake_github.server import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fake_github.server import Body, Exchange, Request

REPO = "someone/wheels"
UPDATED = "2026-11-21T04:00:00Z"


@dataclass(kw_only=True)
class GitHub(api.GitHub):
    """The host's state. ``asked`` has the path of each request, ``tokens`` the Authorization that came with it.

    ``faults`` are (pattern, change): each applies once, to the first answer whose method and path the pattern is
    found in; ``refusals`` are the same, of requests about which the host does nothing. ``broken`` are patterns of
    names whose uploads break off, each once; ``strange`` gives names that the host keeps under another name.
    """

    asked: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    faults: list[tuple[str, Callable[[Response], None]]] = field(default_factory=list)
    refusals: list[tuple[str, Callable[[Response], None]]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    strange: dict[str, str] = field(default_factory=dict)

    @property
    def releases(self) -> list[dict[str, Any]]:
        """Every release as the API shows it, newest first."""
        return [self.shown(release) for release in reversed(self.state.all("release"))]

    def release(self, tag: str, **facts: Any) -> dict[str, Any]:  # noqa: ANN401 -- any field of the API's
        """Make a release, the newest."""
        found = {"tag_name": tag, "draft": False, "prerelease": False, "name": tag, "body": None}
        return self.shown(self.state.add("release", found | {"published_at": UPDATED} | facts))

    def upload(self, release: dict[str, Any], name: str, data: bytes = b"x", **facts: Any) -> dict[str, Any]:  # noqa: ANN401 -- as above
        """Store an asset under the name that GitHub would give it."""
        asset = {"name": self.renamed(name), "state": "uploaded", "size": len(data)}
        asset |= {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "updated_at": UPDATED}
        kept = self.state.add("asset", asset | facts, parent=release["id"])
        path = self.folder / "blobs" / str(kept["id"])
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return self.shown_asset(release, kept)

    def run(self, sha: str, **facts: Any) -> dict[str, Any]:  # noqa: ANN401 -- as above
        """A run of wheels.yml, green unless said otherwise."""
        found = {"path": ".github/workflows/wheels.yml", "head_sha": sha, "status": "completed", "event": "push"}
        found |= {"head_branch": "main", "head_repository": {"full_name": REPO}}
        return self.state.add("run", found | {"conclusion": "success", "html_url": "https://example.org/run"} | facts)

    def artifact(self, run: dict[str, Any], name: str, **facts: Any) -> None:  # noqa: ANN401 -- as above
        """What a run left."""
        self.state.add("artifact", {"name": name, "expired": False} | facts, parent=run["id"])

    def fault(self, pattern: str, change: Callable[[Response], None], *, times: int = 1) -> None:
        """Order a fault."""
        self.faults += [(pattern, change)] * times

    def renamed(self, name: str) -> str:
        return self.strange.get(name) or super().renamed(name)

    def keep(self, asset: dict[str, Any], body: Body) -> dict[str, Any]:
        for pattern in self.broken:
            if re.search(pattern, asset["name"]):
                self.broken.remove(pattern)
                self.faults.insert(0, ("^POST", server_error))
                return asset  # in state `starter`, as an upstream failure leaves it
        return super().keep(asset, body)

    def answer(self, question: Request) -> Response:
        refusal = self._ordered(self.refusals, question)
        if refusal:
            reply = Response()
            refusal(reply)
            return reply
        reply = super().answer(question)
        change = self._ordered(self.faults, question)
        if change:
            reply.body = reply.body.read_bytes() if isinstance(reply.body, Path) else reply.body
            change(reply)
        return reply

    def _ordered(
        self, orders: list[tuple[str, Callable[[Response], None]]], question: Request
    ) -> Callable[[Response], None] | None:
        """What was ordered for this request, which uses the order up."""
        for order in orders:
            if re.search(order[0], f"{question.method} {question.path}"):
                orders.remove(order)
                return order[1]
        return None

    def heard(self, exchange: Exchange) -> None:
        self.asked.append(exchange.asked)
        self.methods.append(exchange.method)
        self.statuses.append(exchange.status)
        self.tokens.append(exchange.token)


# --- faults ----------------------------------------------------------------------------------------------


def server_error(reply: Response) -> None:
    """An answer from a host in trouble."""
    reply.status, reply.headers, reply.body = 502, {"Content-Type": "text/html"}, b"<html>Unicorn!</html>"


def html_with_200(reply: Response) -> None:
    """An error page that says it is none."""
    reply.status, reply.headers, reply.body = 200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><h1>Oops</h1>"


def cut(reply: Response) -> None:
    """A connection that breaks off halfway."""
    body = whole(reply)
    reply.promised, reply.body = len(body), body[: len(body) // 2]


def shortened(reply: Response) -> None:
    """A page that lacks its last item, in valid JSON."""
    reply.body = json.dumps(json.loads(whole(reply))[:-1]).encode()


def emptied(reply: Response) -> None:
    """A page with nothing on it."""
    reply.body = b"[]"


def retry_after(seconds: int) -> Callable[[Response], None]:
    """A secondary rate limit."""

    def change(reply: Response) -> None:
        reply.status, reply.headers, reply.body = 403, {"Retry-After": str(seconds)}, b'{"message":"slow down"}'

    return change


def limited(seconds: int) -> Callable[[Response], None]:
    """The primary rate limit, which ends at a time."""

    def change(reply: Response) -> None:
        reset = str(int(time.time()) + seconds)
        reply.status, reply.headers = 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        reply.body = b'{"message":"API rate limit exceeded"}'

    return change


def forbidden(reply: Response) -> None:
    """A refusal that no waiting changes."""
    reply.status, reply.headers, reply.body = 401, {}, b'{"message":"Bad credentials"}'


def linked_elsewhere(reply: Response) -> None:
    """A next page on a host that must not get the token."""
    reply.headers["Link"] = '<http://localhost:1/steal>; rel="next"'


def whole(reply: Response) -> bytes:
    """The body, which a fault finds as bytes."""
    assert isinstance(reply.body, bytes)
    return reply.body


@contextmanager
def running() -> Iterator[GitHub]:
    """Serve a new, empty host while the block runs."""
    with tempfile.TemporaryDirectory(prefix="tfwheel-github-") as folder:
        host = GitHub(folder=Path(folder), repo=REPO)
        try:
            with server.serving(host):
                yield host
        finally:
            host.state.close()
