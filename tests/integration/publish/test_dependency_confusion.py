"""Real pip asks a real index whether a name is taken, and silence is no answer."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

import fakewheels
import pagedata
from tfwheel.publish import dependency_confusion
from tfwheel.publish.errors import UnclaimedNameError
from tfwheel.system import pip
from tfwheel.system.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Troubled(pagedata.Quiet):
    """A static host that is down, or in the way, below some paths."""

    def do_GET(self) -> None:  # noqa: N802 -- the base class's name
        status = {"/down/": 503, "/forbidden/": 403, "/broken/": 500}.get(self.path)
        if status:
            self.send_error(HTTPStatus(status))
        elif self.path == "/portal/":
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture
def ordinary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An ordinary index that has numpy, a beta, and troubles."""
    for name, version in (("numpy", "2.1.3"), ("beta", "0.1a1")):
        wheel = fakewheels.write_wheel(
            tmp_path / name, {}, name=name, version=version, tag="py3-none-any", extra="Requires-Python: >=3.99\n"
        )
        link = f'<a href="{wheel.name}" data-requires-python="&gt;=3.99">{wheel.name}</a>'
        (tmp_path / name / "index.html").write_text(f"<!DOCTYPE html>{link}", encoding="utf-8")
    with pagedata.served(tmp_path, Troubled) as url:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_INDEX_URL", url)
        yield url


@pytest.mark.parametrize("name", ["numpy", "beta"])
def test_a_name_with_any_release_is_taken(ordinary: str, name: str) -> None:
    assert ordinary
    assert pip.is_claimed(name)


def test_a_name_that_the_index_does_not_know_is_free(ordinary: str) -> None:
    assert ordinary
    assert not pip.is_claimed("nobody-has-this")


@pytest.mark.parametrize("name", ["down", "forbidden", "broken", "portal"])
def test_an_index_in_trouble_is_an_error(ordinary: str, name: str) -> None:
    assert ordinary
    with pytest.raises(DownloadError, match=f"is the name {name} taken"):
        pip.is_claimed(name)


def test_an_index_that_is_not_there_is_an_error(ordinary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ordinary
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/")
    with pytest.raises(DownloadError, match="is the name numpy taken"):
        pip.is_claimed("numpy")


def test_the_guard_stops_what_is_free_and_lets_the_rest_pass(ordinary: str) -> None:
    assert ordinary
    metadata = b"Metadata-Version: 2.1\nName: tfwheel-ops\nVersion: 1\nRequires-Dist: numpy\n"
    names = dependency_confusion.names([metadata])
    with pytest.raises(UnclaimedNameError, match=r"here: tfwheel-ops\n"):
        dependency_confusion.check(names, acknowledged=(), is_claimed=pip.is_claimed)
    dependency_confusion.check(names, acknowledged={"tfwheel-ops"}, is_claimed=pip.is_claimed)
