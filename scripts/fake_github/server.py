"""Small web servers on this machine for fake hosts: asset stores with ranges, and static pages."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message
    from io import BufferedIOBase

ADDRESS = "127.0.0.1"
MAX_AGE = "max-age=600"  # of static pages on GitHub; it cannot be set there
RANGE = re.compile(r"bytes=(\d*)-(\d*)$")
CHUNK = 1 << 16
BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}  # they have no Content-Length either


class Body:
    """The body of a request, read in pieces; ``left`` is the number of announced bytes that are not read yet."""

    def __init__(self, stream: BufferedIOBase, length: int) -> None:
        """Read at most ``length`` bytes of the stream."""
        self._stream, self.left = stream, length

    def read(self, size: int = CHUNK) -> bytes:
        """Read the next bytes; empty at the end, or if the client broke off (then ``left`` is not 0)."""
        with suppress(OSError):
            data = self._stream.read(min(size, self.left))
            self.left -= len(data)
            return data
        return b""

    def rest(self) -> bytes:
        """Read all remaining bytes."""
        return b"".join(iter(self.read, b""))


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request; ``path`` is as received, ``place`` is unquoted and without the query."""

    method: str
    path: str
    place: str
    query: dict[str, str]
    headers: Message[str, str]
    body: Body


@dataclass(kw_only=True)
class Response:
    """A response; ``body`` is bytes or a file to send. ``promised`` overrides Content-Length.

    With ``ranged``, range requests are answered.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Path = b""
    promised: int | None = None
    ranged: bool = False

    @property
    def size(self) -> int:
        """The size of the whole body, in bytes."""
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to ``end``."""
        if isinstance(self.body, bytes):
            for at in range(start, end, CHUNK):
                yield self.body[at : min(at + CHUNK, end)]
            return
        with self.body.open("rb") as stream:
            stream.seek(start)
            while start < end and (data := stream.read(min(CHUNK, end - start))):
                start += len(data)
                yield data


@dataclass(kw_only=True)
class Exchange:
    """An answered request; ``path`` is unquoted and without the query, ``asked`` is as received.

    ``sent`` counts the bytes of the body, each piece before it is sent: a client never received more. ``token`` is the
    Authorization header of the request.
    """

    method: str
    path: str
    asked: str
    token: str | None
    status: int
    sent: int = 0

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(kw_only=True)
class FakeServer:
    """Base class of fake hosts; ``address`` is its URL (no trailing slash), set when it is served."""

    address: str = ""

    def answer(self, question: Request) -> Response:
        """Return the response to a request; called from several threads at once."""
        raise NotImplementedError

    def heard(self, exchange: Exchange) -> None:
        """Observe each answered request, just before the response is sent."""


AnyHost = TypeVar("AnyHost", bound=FakeServer)


@contextmanager
def serving(host: AnyHost, *, port: int = 0) -> Iterator[AnyHost]:
    """Serve a host on this machine while the block runs; with port 0 on a free port. OSError if the port is taken."""
    with ThreadingHTTPServer((ADDRESS, port), partial(_Handler, host)) as server:
        host.address = f"http://{ADDRESS}:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield host
        finally:
            server.shutdown()


def page(site: Path, name: str, headers: Mapping[str, str] | Message[str, str]) -> Response:
    """Respond with a file of a folder, like a host of static pages.

    The content type follows from the extension, a folder gives its ``index.html``, a missing slash is not redirected,
    and nothing outside the folder is ever served.
    """
    file = found(site, name)
    if file is None:
        missing = b"<!DOCTYPE html><title>not found</title>"
        return Response(status=HTTPStatus.NOT_FOUND, headers={"Content-Type": "text/html"}, body=missing)
    data = file.read_bytes()
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    given = {"Content-Type": kind + charset, "Cache-Control": MAX_AGE}
    given["ETag"] = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    if headers.get("If-None-Match") == given["ETag"]:
        return Response(status=HTTPStatus.NOT_MODIFIED, headers=given)
    return Response(headers=given, body=data)


def blob(file: Path) -> Response:
    """Respond with a file, like an asset store: ranges too."""
    return Response(
        headers={"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}, body=file, ranged=True
    )


def found(root: Path, name: str) -> Path | None:
    """Find the file of that name below a folder; None if there is none."""
    path = root / name
    if name.endswith("/") or not name:
        path /= "index.html"
    with suppress(OSError):
        if ".." not in Path(name).parts and not Path(name).is_absolute() and path.is_file():
            return path
    return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms for the client's ACK

    def __init__(self, host: FakeServer, *words: Any) -> None:  # noqa: ANN401 -- handed on
        self._host = host
        super().__init__(*words)

    def handle(self) -> None:
        with suppress(ConnectionError):  # clients are killed, too
            super().handle()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        body = Body(self.rfile, int(self.headers.get("Content-Length") or 0))
        question = Request(
            method=self.command,
            path=self.path,
            place=unquote(parts.path),
            query=dict(parse_qsl(parts.query)),
            headers=self.headers,
            body=body,
        )
        reply = self._host.answer(question)
        while body.read():  # clients read no response before the whole request is sent
            pass
        if body.left:
            self.close_connection = True
            return
        self._send(question, reply)

    do_HEAD = do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 -- the base class's names

    def _send(self, question: Request, reply: Response) -> None:
        start, end = self._part(reply)
        exchange = Exchange(
            method=question.method,
            path=question.place,
            asked=question.path,
            token=question.headers.get("Authorization"),
            status=reply.status,
        )
        self._host.heard(exchange)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status not in BODILESS:
                self.send_header("Content-Length", str(end - start if reply.promised is None else reply.promised))
            self.close_connection = self.close_connection or reply.promised is not None
            self.end_headers()
            for piece in reply.pieces(start, end) if question.method != "HEAD" else ():
                exchange.sent += len(piece)
                self.wfile.write(piece)

    def _part(self, reply: Response) -> tuple[int, int]:
        """Return which bytes of the body to send; a requested range changes status and headers (RFC 9110, 14)."""
        size = reply.size
        wanted = RANGE.match(self.headers.get("Range", "")) if reply.ranged else None
        if not wanted:
            return 0, size
        first, last = wanted.groups()
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1 if first and last else size, size)
        if start >= end:
            reply.status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            reply.headers["Content-Range"] = f"bytes */{size}"
            return 0, 0
        reply.status = HTTPStatus.PARTIAL_CONTENT
        reply.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return start, end

    def log_message(self, *_: object) -> None:
        """Say nothing: ``heard`` has observed the request."""
