"""Small web servers on this machine that stand in for hosts: asset stores with ranges, and static pages."""

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
BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}  # these say nothing of a length, either


class Body:
    """What comes with a request, read in pieces; ``left`` is how many bytes were announced and not read yet."""

    def __init__(self, stream: BufferedIOBase, length: int) -> None:
        """Read at most ``length`` bytes of the stream."""
        self._stream, self.left = stream, length

    def read(self, size: int = CHUNK) -> bytes:
        """The next bytes; none at the end, or where the client broke off (then ``left`` is not 0)."""
        with suppress(OSError):
            data = self._stream.read(min(size, self.left))
            self.left -= len(data)
            return data
        return b""

    def rest(self) -> bytes:
        """All that is left."""
        return b"".join(iter(self.read, b""))


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request. ``path`` is as it came; ``place`` is unquoted and without the query."""

    method: str
    path: str
    place: str
    query: dict[str, str]
    headers: Message[str, str]
    body: Body


@dataclass(kw_only=True)
class Response:
    """One answer on its way out; ``body`` is bytes or a file to be sent. ``promised`` is another Content-Length.

    Where ``ranged`` is set, a part of the body is sent to who asks for one.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Path = b""
    promised: int | None = None
    ranged: bool = False

    @property
    def size(self) -> int:
        """Of the whole body, in bytes."""
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end``."""
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
    """One request as it was answered. ``path`` is unquoted, without its query; ``asked`` is as it came.

    ``sent`` counts the bytes of the body; each piece is counted before it goes out, so a client that has ended was
    never sent more than it says. ``token`` is the Authorization that came with it.
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
    """Base of the imitated hosts; ``address`` (no slash at its end) is set when it is served."""

    address: str = ""

    def answer(self, question: Request) -> Response:
        """What the host says; several threads ask at once."""
        raise NotImplementedError

    def heard(self, exchange: Exchange) -> None:
        """Told of each answer just before it goes out."""


AnyHost = TypeVar("AnyHost", bound=FakeServer)


@contextmanager
def serving(host: AnyHost, *, port: int = 0) -> Iterator[AnyHost]:
    """Serve a host on this machine while the block runs; port 0 is one of the system's choosing. OSError if taken."""
    with ThreadingHTTPServer((ADDRESS, port), partial(_Handler, host)) as server:
        host.address = f"http://{ADDRESS}:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield host
        finally:
            server.shutdown()


def page(site: Path, name: str, headers: Mapping[str, str] | Message[str, str]) -> Response:
    """A file of a folder as static pages hosts give it.

    The content type follows from the extension and cannot be set, a folder is its ``index.html``, no redirect leads
    from one spelling to another, and nothing outside the folder is ever served.
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
    """A file as asset stores give it: any part of it, too."""
    return Response(
        headers={"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}, body=file, ranged=True
    )


def found(root: Path, name: str) -> Path | None:
    """The file of that name below a folder, None where there is none."""
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
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms for the client's word

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
        while body.read():  # a client reads no answer before all is sent
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
        """Which bytes of the body are sent; a range that was asked for changes status and headers (RFC 9110, 14)."""
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
        """Say nothing: the host hears of it."""
