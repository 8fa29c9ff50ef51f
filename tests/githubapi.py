"""A server on this machine that speaks the GitHub Releases API, as far as an inventory reads it, with faults to order.

``/repos/<owner>/<name>/releases`` and ``.../releases/<id>/assets`` are paged with Link headers and know ETags;
``/<owner>/<name>/releases/download/<tag>/<file>`` answers 302 to a blob, as the real host does.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPO = "someone/wheels"
UPDATED = "2026-11-21T04:00:00Z"


@dataclass(kw_only=True)
class Reply:
    """One answer, on its way out; a fault changes it. ``promised`` is a Content-Length other than the body's."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    promised: int | None = None


@dataclass(kw_only=True)
class GitHub:
    """The host's state. ``asked`` has the path of each request, ``tokens`` the Authorization that came with it.

    ``faults`` are (pattern, change): each applies once, to the first answer whose path the pattern is found in.
    """

    address: str = ""
    releases: list[dict[str, Any]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    faults: list[tuple[str, Callable[[Reply], None]]] = field(default_factory=list)

    def release(self, tag: str, **facts: Any) -> dict[str, Any]:  # noqa: ANN401 -- any field of the API's
        """Make a release, the newest."""
        found = {"id": len(self.releases) + 1, "tag_name": tag, "draft": False, "prerelease": False}
        found |= {"immutable": True, "assets": [], "body": None, **facts}
        self.releases.insert(0, found)
        return found

    def upload(self, release: dict[str, Any], name: str, data: bytes = b"x", **facts: Any) -> dict[str, Any]:  # noqa: ANN401 -- as above
        """Store an asset under the name that GitHub would give it."""
        kept = re.sub(r"[^A-Za-z0-9._+-]+", ".", name).strip(".")
        path = f"/{REPO}/releases/download/{quote(release['tag_name'], safe='')}/{quote(kept, safe='')}"
        self.blobs[unquote(path)] = data
        asset = {
            "id": release["id"] * 10_000 + len(release["assets"]),
            "name": kept,
            "label": "",
            "state": "uploaded",
            "size": len(data),
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "updated_at": UPDATED,
            "browser_download_url": self.address + path,
        }
        release["assets"].append(asset | facts)
        return release["assets"][-1]  # type: ignore[no-any-return]

    def fault(self, pattern: str, change: Callable[[Reply], None], *, times: int = 1) -> None:
        """Order a fault."""
        self.faults += [(pattern, change)] * times

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        """What the host says, before faults."""
        parts = urlsplit(path)
        place = unquote(parts.path)
        if place.startswith("/repos/"):
            return self._api(place, {key: int(value[0]) for key, value in parse_qs(parts.query).items()}, headers)
        if place.startswith("/blob/"):
            data = self.blobs[place.removeprefix("/blob")]
            return Reply(headers={"Content-Type": "application/octet-stream"}, body=data)
        if place in self.blobs:
            return Reply(status=302, headers={"Location": f"{self.address}/blob{parts.path}"})
        return Reply(status=404, body=b"Not Found")

    def _api(self, place: str, query: dict[str, int], headers: Mapping[str, str]) -> Reply:
        assets = re.fullmatch(rf"/repos/{REPO}/releases/(\d+)/assets", place)
        if assets:
            (release,) = (release for release in self.releases if release["id"] == int(assets[1]))
            items = release["assets"]
        elif place == f"/repos/{REPO}/releases":
            items = self.releases
        else:
            return Reply(status=404, body=b'{"message":"Not Found"}')
        size, number = min(query.get("per_page", 30), 100), query.get("page", 1)
        body = json.dumps(items[(number - 1) * size : number * size]).encode()
        found = {"Content-Type": "application/json; charset=utf-8", "ETag": f'W/"{hashlib.sha256(body).hexdigest()}"'}
        if number * size < len(items):
            following = f"{self.address}{place}?per_page={size}&page={number + 1}"
            last = f"{self.address}{place}?per_page={size}&page={-(-len(items) // size)}"
            found["Link"] = f'<{following}>; rel="next", <{last}>; rel="last"'
        if headers.get("If-None-Match") == found["ETag"]:
            return Reply(status=304, headers=found)
        return Reply(headers=found, body=body)


# --- faults ----------------------------------------------------------------------------------------------


def server_error(reply: Reply) -> None:
    """An answer from a host in trouble."""
    reply.status, reply.headers, reply.body = 502, {"Content-Type": "text/html"}, b"<html>Unicorn!</html>"


def html_with_200(reply: Reply) -> None:
    """An error page that says it is none."""
    reply.status, reply.headers, reply.body = 200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><h1>Oops</h1>"


def cut(reply: Reply) -> None:
    """A connection that breaks off halfway."""
    reply.promised, reply.body = len(reply.body), reply.body[: len(reply.body) // 2]


def shortened(reply: Reply) -> None:
    """A page that lacks its last item, in valid JSON."""
    reply.body = json.dumps(json.loads(reply.body)[:-1]).encode()


def emptied(reply: Reply) -> None:
    """A page with nothing on it."""
    reply.body = b"[]"


def retry_after(seconds: int) -> Callable[[Reply], None]:
    """A secondary rate limit."""

    def change(reply: Reply) -> None:
        reply.status, reply.headers, reply.body = 403, {"Retry-After": str(seconds)}, b'{"message":"slow down"}'

    return change


def limited(seconds: int) -> Callable[[Reply], None]:
    """The primary rate limit, which ends at a time."""

    def change(reply: Reply) -> None:
        reset = str(int(time.time()) + seconds)
        reply.status, reply.headers = 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        reply.body = b'{"message":"API rate limit exceeded"}'

    return change


def forbidden(reply: Reply) -> None:
    """A refusal that no waiting changes."""
    reply.status, reply.headers, reply.body = 401, {}, b'{"message":"Bad credentials"}'


def linked_elsewhere(reply: Reply) -> None:
    """A next page on a host that must not get the token."""
    reply.headers["Link"] = '<http://localhost:1/steal>; rel="next"'


# --- the server ------------------------------------------------------------------------------------------


@contextmanager
def running() -> Iterator[GitHub]:
    """Serve a new, empty host while the block runs."""
    host = GitHub()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, host)) as server:
        host.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield host
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, host: GitHub, *words: Any) -> None:  # noqa: ANN401 -- handed on
        self._host = host
        super().__init__(*words)

    def do_GET(self) -> None:
        host = self._host
        reply = host.answer(self.path, self.headers)  # type: ignore[arg-type]
        for ordered in host.faults:
            if re.search(ordered[0], self.path):
                host.faults.remove(ordered)
                ordered[1](reply)
                break
        host.asked.append(self.path)
        host.statuses.append(reply.status)
        host.tokens.append(self.headers.get("Authorization"))
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) if reply.promised is None else reply.promised))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        """Say nothing: `asked` has it."""
