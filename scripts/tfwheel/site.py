"""The index as a folder that any static host can serve: ``dist/site/``, kept equal to the wheels that may be listed."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from filelock import FileLock
from packaging.utils import canonicalize_name

from tfwheel import index, progress, records
from tfwheel.errors import BadWheelError, NothingToServeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tfwheel.index import IndexFile

ADDRESS = "127.0.0.1"


def update(site: Path, wheels: Path) -> dict[IndexFile, Path]:
    """Make the site list exactly the wheels below ``wheels`` that may be listed; returns them.

    Safe to call from several processes at once. Raises IndexEntryError when two of them contradict each other.
    """
    site.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(site.with_name(f".{site.name}.lock")):
        found = collect(wheels, site=site)
        write(site, found)
    return found


def collect(wheels: Path, *, site: Path) -> dict[IndexFile, Path]:
    """The wheels in ``<wheels>/<target id>/`` that may be listed, with what the index says about each.

    A wheel is left out, with a warning, when its record forbids it or the file is not the one recorded.
    """
    found = {}
    for path in sorted(wheels.glob(f"*/*{records.SUFFIX}")):
        try:
            record = records.load(path)
        except BadWheelError as error:
            progress.warn(f"{error.message}; its wheel is not in the index")
            continue
        wheel = path.with_name(record.file)
        reason = index.publishable(record)
        if not reason and not (wheel.is_file() and wheel.stat().st_size == record.size):
            reason = "the file is missing or its size is not the recorded one"
        if reason:
            progress.warn(f"{record.file} is not in the index: {reason}")
            continue
        known = _known_metadata(site / record.line / canonicalize_name(record.project) / wheel.name, wheel)
        found[index.from_wheel(wheel, line=record.line, sha256=record.sha256, metadata=known)] = wheel
    return found


def write(site: Path, wheels: Mapping[IndexFile, Path]) -> None:
    """Bring the folder to exactly the pages, sidecars and wheels (hard links where possible) of these entries.

    Every file is replaced as a whole, what is linked to before the page that links, and nothing goes before the
    pages stopped linking to it. So a reader, or a run that is killed, never sees a link that leads nowhere.
    What is up to date already is not touched.
    """
    pages = index.render(wheels)
    files = {f"{entry.folder}/{entry.file}": wheel for entry, wheel in wheels.items()}
    for name, wheel in files.items():
        _place(wheel, site / name)
    for name in sorted(pages, key=_leaves_first):
        if not (site / name).is_file() or (site / name).read_bytes() != pages[name]:
            records.write_atomically(site / name, pages[name])
    _remove_all_but(site, {site / name for name in (*files, *pages)})


@contextmanager
def serve(site: Path, *, port: int = 0, log: Callable[[str], None] = progress.detail) -> Iterator[str]:
    """Serve the folder on this machine while the block runs; yields the address, ending with a slash.

    ``port`` 0, or one that cannot be had, means one of the system's choosing. ``log`` receives each request.
    """
    handler = partial(_Handler, directory=str(site), log=log)
    try:
        server = ThreadingHTTPServer((ADDRESS, port), handler)
    except OSError as error:
        progress.warn(f"port {port} cannot be used ({error.strerror}); taking another one")
        server = ThreadingHTTPServer((ADDRESS, 0), handler)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{ADDRESS}:{server.server_port}/"
        finally:
            server.shutdown()


@contextmanager
def serve_alone(wheel: Path, *, line: str, workdir: Path, sha256: str | None = None) -> Iterator[str]:
    """Serve an index of one wheel while the block runs; yields the address for ``--extra-index-url``.

    ``workdir`` is a folder for scratch, best on the wheel's own file system: then nothing is copied.
    """
    with tempfile.TemporaryDirectory(dir=workdir, prefix="site-") as folder:
        write(Path(folder), {index.from_wheel(wheel, line=line, sha256=sha256): wheel})
        with serve(Path(folder)) as address:
            yield f"{address}{line}/"


def offer(site: Path, wheels: Path, *, port: int) -> None:
    """Serve all finished wheels until interrupted, and say how to install each; NothingToServeError without any."""
    entries = update(site, wheels)
    if not entries:
        message = f"no wheel below {wheels} has passed its smoke test"
        raise NothingToServeError(message)
    with serve(site, port=port, log=progress.say) as address:
        progress.say(f"{site} is at {address} (Ctrl-C ends it). To install:")
        for command in dict.fromkeys(install_command(entry, address) for entry in entries):
            progress.say(f"  {command}")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            progress.say("ended")


def install_command(entry: IndexFile, address: str) -> str:
    """What a user types to get exactly this version, with the index of its line beside PyPI."""
    return f'pip install --extra-index-url {address}{entry.line}/ "{entry.pin}"'


class _Handler(SimpleHTTPRequestHandler):
    """Static files, told to no cache: pip would keep a copy of each 600 MB wheel under an address that is gone."""

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


def _leaves_first(name: str) -> tuple[bool, int, str]:
    """Sidecars, then project pages, then lists of projects, then the root."""
    return name.endswith("index.html"), -name.count("/"), name


def _place(wheel: Path, destination: Path) -> None:
    """Put the wheel there without copying it where the file system allows; a file in its place already stays."""
    if destination.exists() and _stamp(destination) == _stamp(wheel):
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(wheel, temporary)
        except OSError:
            shutil.copy2(wheel, temporary)
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)


def _known_metadata(placed: Path, wheel: Path) -> bytes | None:
    """The sidecar of a wheel that the site has already; opening a zip of 26,000 members takes 0.2 s each time."""
    sidecar = placed.with_name(f"{placed.name}.metadata")
    if placed.exists() and sidecar.exists() and _stamp(placed) == _stamp(wheel):
        return sidecar.read_bytes()
    return None


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def _remove_all_but(site: Path, kept: set[Path]) -> None:
    """Remove what is no longer part of the site: the highest pages first, wheels last, then empty folders."""
    stale = [path for path in site.rglob("*") if not path.is_dir() and path not in kept]
    for path in sorted(stale, key=lambda path: _leaves_first(path.relative_to(site).as_posix()), reverse=True):
        path.unlink()
    for folder in sorted((path for path in site.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
