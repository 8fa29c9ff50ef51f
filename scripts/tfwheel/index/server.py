"""HTTP server for one folder on this machine, for pip, uv and browsers, like a static host."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit, urlunsplit

from tfwheel.system import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADDRESS = "127.0.0.1"
# Another name in the Host header is a page elsewhere that a browser was led to by DNS (rebinding).
NAMES = (ADDRESS, "localhost")
IDLE_S = 20  # seconds without a byte, after which a connection is closed
RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))")


@contextmanager
def serve(site: Path, *, port: int = 0, log: Callable[[str], None] = console.detail) -> Iterator[str]:
    """Serve a folder on this machine while the block runs; yields its URL, ending with a slash.

    With ``port`` 0, or a port that is taken, the system chooses a free one. ``log`` receives each request. Nothing
    outside the folder is served, through links neither, and nothing to a client that names another host.
    """
    handler = partial(_Handler, directory=str(site), log=log)
    try:
        server = _Server((ADDRESS, port), handler)
    except OSError as error:
        console.warn(f"port {port} cannot be used ({error.strerror}); taking another one")
        server = _Server((ADDRESS, 0), handler)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{ADDRESS}:{server.server_port}/"
        finally:
            server.shutdown()


def part_of(asked: str | None, size: int) -> range | None:
    """Return the bytes that a Range header asks for of a file of ``size`` bytes; empty where it has none of them.

    None is the whole file: there is no header, or one that a server ignores (RFC 9110, 14.2), as for several ranges.
    """
    match = RANGE.fullmatch(asked.strip()) if asked else None
    if match is None:
        return None
    first, last, tail = (None if group is None else int(group) for group in match.groups())
    if tail is not None:
        return range(max(0, size - tail), size)
    if first is None or (last is not None and last < first):
        return None
    return range(first, min(size, size if last is None else last + 1))


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # connections that wait to be accepted

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as in the base class
        """Say nothing of a client that went away: that is no fault of this program."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    """Serve static files uncached: pip would keep each 600 MB wheel under a URL that no longer exists."""

    timeout = IDLE_S

    def __init__(self, *words: Any, log: Callable[[str], None], **options: Any) -> None:  # noqa: ANN401 -- handed on
        self._log = log
        self._part = range(0)
        super().__init__(*words, **options)

    def log_error(self, format: str, *values: Any) -> None:  # noqa: A002, ANN401 -- the base class's signature
        """Say nothing: the request's own line has the status."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def send_head(self) -> BinaryIO | None:
        """Send status and headers; returns the file to send a part of, None where the answer is complete."""
        if not _is_this_machine(self.headers.get("Host")):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        place = urlsplit(self.path)
        path = _inside(Path(self.directory), place.path)
        if path is not None and path.is_dir():
            if not place.path.endswith("/"):
                self.send_response(HTTPStatus.MOVED_PERMANENTLY)
                self.send_header("Location", urlunsplit(("", "", f"/{place.path.strip('/')}/", place.query, "")))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            path = _inside(Path(self.directory), f"{place.path}index.html")
        elif place.path.endswith("/"):
            path = None
        stream = _opened(path)
        if stream is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return self._announced(stream, str(path))

    def _announced(self, stream: BinaryIO, path: str) -> BinaryIO | None:
        facts = os.fstat(stream.fileno())
        written = self.date_time_string(int(facts.st_mtime))
        fresh = self.headers.get("If-Range", written) == written
        part = part_of(self.headers.get("Range"), facts.st_size) if self.command == "GET" and fresh else None
        self._part = range(facts.st_size) if part is None else part
        if part is not None and not part:
            stream.close()
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{facts.st_size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.send_response(HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT)
        if part is not None:
            self.send_header("Content-Range", f"bytes {part[0]}-{part[-1]}/{facts.st_size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Length", str(len(self._part)))
        self.send_header("Last-Modified", written)
        self.end_headers()
        return stream

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:  # type: ignore[override]
        outputfile.flush()
        if not self._part:
            return
        try:
            self.connection.sendfile(source, self._part[0], len(self._part))
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.log_message("%s: the client went away", self.path)

    def log_message(self, format: str, *values: Any) -> None:  # noqa: A002, ANN401 -- the base class's signature
        """Log one line; what a terminal would obey is shown as its number."""
        self._log("".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in format % values))


def _is_this_machine(host: str | None) -> bool:
    """Return whether a Host header names this machine, or there is none, as from a client that is no browser."""
    try:
        return host is None or urlsplit(f"//{host}").hostname in NAMES
    except ValueError:
        return False


def _inside(root: Path, place: str) -> Path | None:
    """Return the file or folder of the path of a URL, None where there is none in the folder, links followed."""
    try:
        path = (root / unquote(place, errors="surrogateescape").lstrip("/")).resolve()
        path.stat()
        return path if path.is_relative_to(root.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # missing, too long, a NUL, a link to itself
        return None


def _opened(path: Path | None) -> BinaryIO | None:
    """Open a regular file for reading; None for anything else (opening a pipe would wait for ever)."""
    try:
        return path.open("rb") if path is not None and stat.S_ISREG(path.stat().st_mode) else None
    except OSError:
        return None
