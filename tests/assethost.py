"""A stand-in, on this machine, for what wheels are published to: a static pages host and a release-asset host.

``/pages/<path>`` is served from the site's folder as static pages hosts do it: the content type follows from the
extension and cannot be set, ``max-age=600``, ETag, a folder is its ``index.html``, no redirect between spellings.
``/releases/download/<tag>/<name>`` answers 302 to ``/blob/<tag>/<name>?token=...``, which knows Range.
The bytes of every answer are counted.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGES, RELEASES, BLOBS = "/pages/", "/releases/download/", "/blob/"
MAX_AGE = "max-age=600"
RANGE = re.compile(r"bytes=(\d*)-(\d*)$")
CHUNK = 1 << 16


@dataclass(kw_only=True)
class Request:
    """One request as it was answered; ``path`` is unquoted, without its query.

    ``sent`` counts the bytes of the body; each piece is counted before it goes out, so a client that has ended was
    never sent more than it says.
    """

    method: str
    path: str
    status: int
    sent: int = 0

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(kw_only=True)
class AssetHost:
    """Both hosts; ``requests`` is what they were asked so far, in the order of the answers.

    ``faults`` holds paths that answer with a status of the test's choosing (503, 404) until they are taken out.
    """

    site: Path
    assets: Path
    address: str = ""
    requests: list[Request] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def pages(self) -> str:
        """Where the site's root is served, ending with a slash."""
        return f"{self.address}{PAGES}"

    def url(self, tag: str, name: str) -> str:
        """The lasting address of an asset, percent-encoded; it redirects."""
        return f"{self.address}{RELEASES}{quote(tag)}/{quote(name)}"

    def upload(self, tag: str, name: str, data: bytes) -> str:
        """Put an asset there and say its address."""
        path = self.assets / tag / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return self.url(tag, name)

    def sent(self, pattern: str) -> int:
        """How many bytes of bodies went out for the paths that match."""
        return sum(request.sent for request in self.requests if re.search(pattern, request.path))

    def paths(self, pattern: str = "") -> list[str]:
        """The paths that were asked for and match, in order."""
        return [request.path for request in self.requests if re.search(pattern, request.path)]

    def file_of(self, path: str) -> Path | None:
        """The file behind a path, None where there is none; nothing outside the two folders is ever served."""
        root, name = (self.site, path.removeprefix(PAGES)) if path.startswith(PAGES) else (self.assets, path)
        found = root / name.removeprefix(RELEASES).removeprefix(BLOBS)
        if path.endswith("/"):
            found /= "index.html"
        with suppress(OSError):
            if ".." not in Path(name).parts and found.is_file():
                return found
        return None


@contextmanager
def running(site: Path, assets: Path) -> Iterator[AssetHost]:
    """Serve both while the block runs. The folders may be changed, swapped or made in the meantime."""
    host = AssetHost(site=site, assets=assets)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, host)) as server:
        host.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield host
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms for the client's word

    def __init__(self, host: AssetHost, *words: Any) -> None:  # noqa: ANN401 -- handed on
        self._host = host
        super().__init__(*words)

    def handle(self) -> None:
        with suppress(ConnectionError):  # clients are killed in some tests
            super().handle()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        found = self._host.file_of(path)
        if path in self._host.faults:
            self._answer(path, self._host.faults[path], b"a fault, as ordered")
        elif found is None:
            self._answer(path, 404, b"<!DOCTYPE html><title>not found</title>", {"Content-Type": "text/html"})
        elif path.startswith(RELEASES):
            blob = f"{self._host.address}{BLOBS}{quote(path.removeprefix(RELEASES))}?token=1&expires=300"
            self._answer(path, 302, b"", {"Location": blob})
        elif path.startswith(PAGES):
            self._page(path, found)
        else:
            self._blob(path, found)

    do_HEAD = do_GET  # noqa: N815 -- as above

    def _page(self, path: str, file: Path) -> None:
        data = file.read_bytes()
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        charset = "; charset=utf-8" if kind.startswith("text/") else ""
        headers = {"Content-Type": kind + charset, "Cache-Control": MAX_AGE}
        headers["ETag"] = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == headers["ETag"]:
            self._answer(path, 304, b"", headers)
        else:
            self._answer(path, 200, data, headers)

    def _blob(self, path: str, file: Path) -> None:
        data = file.read_bytes()
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        wanted = RANGE.match(self.headers.get("Range", ""))
        if not wanted:
            self._answer(path, 200, data, headers)
            return
        first, last = wanted.groups()
        start = int(first) if first else max(0, len(data) - int(last))
        end = min(int(last) + 1 if first and last else len(data), len(data))
        if start >= end:
            self._answer(path, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
        else:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
            self._answer(path, 206, data[start:end], headers)

    def _answer(self, path: str, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        request = Request(method=self.command, path=path, status=status)
        self._host.requests.append(request)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if status != 304:  # a 304 has no body, and says nothing of its length
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET" and status != 304:
                for at in range(0, len(body), CHUNK):
                    request.sent += len(body[at : at + CHUNK])
                    self.wfile.write(body[at : at + CHUNK])

    def log_message(self, *_: object) -> None:
        """Say nothing: `requests` has it."""
