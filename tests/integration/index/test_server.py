"""The server of this machine's index against clients that mean harm, and ranges as uv asks for them."""

from __future__ import annotations

import http.client
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tfwheel.index import server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = bytes(range(100))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, list[str]]]:
    """A folder with a file, a folder and links; its port and what was logged."""
    tmp_path = tmp_path_factory.mktemp("served")
    site = tmp_path / "site"
    (site / "cu12").mkdir(parents=True)
    (site / "a.whl").write_bytes(BODY)
    (site / "cu12" / "index.html").write_text("<!DOCTYPE html>")
    (tmp_path / "secret").write_text("secret")
    (site / "out").symlink_to(tmp_path / "secret")
    (site / "up").symlink_to(tmp_path)
    (site / "loop").symlink_to("loop")
    (site / "within").symlink_to("a.whl")
    os.mkfifo(site / "pipe")
    log: list[str] = []
    with server.serve(site, log=log.append) as address:
        yield site, int(address.rsplit(":", 1)[1].strip("/")), log


def ask(port: int, path: str, *, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer; a path goes out as it is."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        client.putheader(name.replace("_", "-"), value)
    client.endheaders()
    answer = client.getresponse()
    return answer.status, dict(answer.headers), answer.read()


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-9", 206, BODY[:10]),
        ("bytes=90-", 206, BODY[90:]),
        ("bytes=-5", 206, BODY[-5:]),
        ("bytes=-500", 206, BODY),
        ("bytes=99-500", 206, BODY[99:]),
        ("bytes=100-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=9-0", 200, BODY),
        ("bytes=0-1,5-6", 200, BODY),
        ("lines=0-9", 200, BODY),
        ("bytes=-", 200, BODY),
        ("bytes=1" + "0" * 30 + "-", 200, BODY),
    ],
)
def test_one_range_is_served_and_any_other_is_the_whole_file(
    served: tuple[Path, int, list[str]], asked: str, status: int, body: bytes
) -> None:
    found, headers, data = ask(served[1], "/a.whl", Range=asked)
    assert (found, data) == (status, body)
    assert int(headers["Content-Length"]) == len(body)
    assert ("Content-Range" in headers) is (status != 200)


def test_a_range_of_another_state_of_the_file_is_the_whole_file(served: tuple[Path, int, list[str]]) -> None:
    _, headers, _ = ask(served[1], "/a.whl", method="HEAD", Range="bytes=0-1")
    assert (headers["Content-Length"], headers["Accept-Ranges"]) == ("100", "bytes")
    assert ask(served[1], "/a.whl", Range="bytes=0-1", If_Range=headers["Last-Modified"])[0] == 206
    assert ask(served[1], "/a.whl", Range="bytes=0-1", If_Range='"other"')[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/%00",
            "/a%00.whl",
            "/out",
            "/up/secret",
            "/loop",
            "/pipe",
            "/",
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
        ),
        *("/a.whl/", "/%ff%fe", "/" + "a" * 5000, "/cu12/../../secret", "//etc/hostname", "/nothing"),
    ],
)
def test_nothing_outside_the_folder_is_served_and_no_request_ends_the_server(
    served: tuple[Path, int, list[str]], path: str
) -> None:
    status, _, body = ask(served[1], path)
    assert status == 404
    assert b"secret" not in body
    assert ask(served[1], "/within")[2] == BODY


def test_a_folder_leads_to_its_page(served: tuple[Path, int, list[str]]) -> None:
    assert ask(served[1], "/cu12?x=1")[1]["Location"] == "/cu12/?x=1"
    assert ask(served[1], "/cu12/")[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8000", 200),
        ("evil.example", 421),
        ("evil.example:80", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_a_page_elsewhere_that_was_led_here_by_dns_gets_nothing(
    served: tuple[Path, int, list[str]], host: str, status: int
) -> None:
    assert ask(served[1], "/a.whl", Host=host)[0] == status


def test_the_log_has_no_raw_escapes(served: tuple[Path, int, list[str]]) -> None:
    with socket.create_connection(("127.0.0.1", served[1]), timeout=10) as client:
        client.sendall(b"GET /\x1b[2J\x07\x9b HTTP/1.0\r\n\r\n")
        while client.recv(4096):
            pass
    assert "\\x1b[2J\\x07\\x9b" in served[2][-1]
    assert served[2][-1].isprintable()


def test_idle_clients_keep_nobody_out_and_do_not_stay(
    served: tuple[Path, int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 1)
    before = threading.active_count()
    idle = [socket.create_connection(("127.0.0.1", served[1]), timeout=10) for _ in range(300)]
    assert ask(served[1], "/a.whl")[2] == BODY
    assert [client.recv(1) for client in idle] == [b""] * 300  # the server closes them
    for client in idle:
        client.close()
    assert threading.active_count() < before + 300
