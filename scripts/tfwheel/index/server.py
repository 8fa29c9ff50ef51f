"""HTTP server for one folder on this machine, for pip, uv and browsers, like a static host."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, TYPE_CHECKING, Any

from tfwheel.system import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ADDRESS = "127.0.0.1"


@contextmanager
def serve(site: Path, *, port: int = 0, log: Callable[[str], None] = console.detail) -> Iterator[str]:
    """Serve a folder on this machine while the block runs; yields its URL, ending with a slash.

    With ``port`` 0, or a port that is taken, the system chooses a free one. ``log`` receives each request.
    """
    handler = partial(_Handler, directory=str(site), log=log)
    try:
        server = ThreadingHTTPServer((ADDRESS, port), handler)
    except OSError as error:
        console.warn(f"port {port} cannot be used ({error.strerror}); taking another one")
        server = ThreadingHTTPServer((ADDRESS, 0), handler)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{ADDRESS}:{server.server_port}/"
        finally:
            server.shutdown()


class _Handler(SimpleHTTPRequestHandler):
    """Serve static files uncached: pip would keep each 600 MB wheel under a URL that no longer exists."""

    def __init__(self, *words: Any, log: Callable[[str], None], **options: Any) -> None:  # noqa: ANN401 -- handed on
        self._log = log
        super().__init__(*words, **options)

    def log_error(self, format: str, *values: Any) -> None:  # noqa: A002, ANN401 -- the base class's signature
        """Say nothing: the request's own line has the status."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:  # type: ignore[override]
        outputfile.flush()
        try:
            self.connection.sendfile(source)
        except (BrokenPipeError, ConnectionResetError):
            self._log(f"{self.path}: the client went away")

    def log_message(self, format: str, *values: Any) -> None:  # noqa: A002, ANN401 -- the base class's signature
        self._log(format % values)
