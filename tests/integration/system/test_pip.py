"""Real pip against a local index that serves good, altered, cut and missing files."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tfwheel.build import official_wheel
from tfwheel.config.targets import Base
from tfwheel.system import files, pip
from tfwheel.system.errors import DownloadError, HashMismatchError, NoOfficialWheelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Faulty(BaseHTTPRequestHandler):
    """An index of one wheel; ``server.fault`` says what goes wrong with it."""

    def do_GET(self) -> None:
        wheel: Path = self.server.wheel  # type: ignore[attr-defined]
        data = wheel.read_bytes()
        if isinstance(self.server.fault, int):  # type: ignore[attr-defined]
            self.send_error(self.server.fault)  # type: ignore[attr-defined]
        elif self.path.endswith("/"):
            self._answer(f'<!DOCTYPE html><a href="/files/{wheel.name}">{wheel.name}</a>'.encode(), "text/html")
        elif self.server.fault == "altered":  # type: ignore[attr-defined]
            self._answer(data[:-30] + bytes(30), "application/zip")
        elif self.server.fault == "cut":  # type: ignore[attr-defined]
            self._answer(data[: len(data) // 2], "application/zip", promised=len(data))
        elif self.server.fault == "short":  # type: ignore[attr-defined]
            self._answer(data[: len(data) // 2], "application/zip")
        else:
            self._answer(data, "application/zip")

    def _answer(self, data: bytes, kind: str, promised: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(promised or len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def index(fake_base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """An index on this machine that pip is configured to use, and nothing else."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as server:
        server.wheel, server.fault = fake_base, None  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
        monkeypatch.setenv("PIP_RETRIES", "1")
        monkeypatch.setenv("PIP_RESUME_RETRIES", "0")
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
        yield server
        server.shutdown()


@pytest.fixture
def base(fake_base: Path) -> Base:
    """The lock of the wheel that the index serves."""
    return Base(
        project="tensorflow",
        version="2.20.0",
        python="3.12",
        file=fake_base.name,
        sha256=files.sha256_of(fake_base),
        size=fake_base.stat().st_size,
        platforms=("manylinux_2_17_x86_64",),
        requires_python=">=3.9",
        requires_dist=(),
    )


def test_the_locked_wheel_is_downloaded_once(index: ThreadingHTTPServer, base: Base, tmp_path: Path) -> None:
    first = official_wheel.fetch(base, tmp_path)
    index.fault = "altered"  # a second download would fail  # type: ignore[attr-defined]
    assert official_wheel.fetch(base, tmp_path) == first
    assert files.sha256_of(first) == base.sha256


@pytest.mark.parametrize(
    ("fault", "error"), [("altered", HashMismatchError), ("short", HashMismatchError), ("cut", DownloadError)]
)
def test_a_wrong_file_is_refused_and_not_kept(
    index: ThreadingHTTPServer, base: Base, tmp_path: Path, fault: str, error: type[Exception]
) -> None:
    index.fault = fault  # type: ignore[attr-defined]
    with pytest.raises((error, HashMismatchError), match=r"tensorflow 2\.20\.0 for Python 3\.12"):
        official_wheel.fetch(base, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and "scratch" not in path.parts] == []
    assert list(tmp_path.rglob("*.whl")) == []


def test_a_damaged_cached_file_is_fetched_again(index: ThreadingHTTPServer, base: Base, tmp_path: Path) -> None:
    assert index.fault is None  # type: ignore[attr-defined]
    kept = official_wheel.fetch(base, tmp_path)
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert files.sha256_of(official_wheel.fetch(base, tmp_path)) == base.sha256


@pytest.mark.usefixtures("index")
def test_a_version_that_is_not_there_is_named(base: Base, tmp_path: Path) -> None:
    with pytest.raises(NoOfficialWheelError, match=r"tensorflow 2\.20\.1 for Python 3\.12.*it has 2\.20\.0") as caught:
        pip.download_wheel(project="tensorflow", version="2.20.1", python="3.12", dest=tmp_path)
    assert base.version == "2.20.0"
    assert "Take one of these versions" in caught.value.remedy


@pytest.mark.parametrize("status", [401, 403, 500, 404])
def test_an_index_that_answers_with_an_error_does_not_say_that_there_is_no_wheel(
    index: ThreadingHTTPServer, tmp_path: Path, status: int
) -> None:
    index.fault = status  # type: ignore[attr-defined]
    error = NoOfficialWheelError if status == 404 else DownloadError
    with pytest.raises(error, match=r"2\.20\.0 for Python 3\.12") as caught:
        pip.download_wheel(project="tensorflow", version="2.20.0", python="3.12", dest=tmp_path)
    assert ("exclude" in caught.value.remedy) is (status == 404)
    assert status == 404 or str(status) in caught.value.message


@pytest.mark.usefixtures("index")
def test_a_python_without_a_wheel_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoOfficialWheelError, match=r"for Python 3\.14"):
        pip.download_wheel(project="tensorflow", version="2.20.0", python="3.14", dest=tmp_path)


def test_an_index_out_of_reach_is_a_download_error(
    monkeypatch: pytest.MonkeyPatch, index: ThreadingHTTPServer, base: Base, tmp_path: Path
) -> None:
    index.shutdown()
    index.server_close()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.server_port}/simple/")
    with pytest.raises(DownloadError):
        official_wheel.fetch(base, tmp_path)


@pytest.mark.usefixtures("index")
def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="the index has no such wheel"):
        pip.install_parts(["tensorflow==9.9"], tmp_path / "parts")
