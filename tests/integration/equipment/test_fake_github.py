"""The fake GitHub server does what the real host's documentation says, as far as a release meets it."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
import requests

from fake_github import server
from fake_github.api import GitHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPO = "someone/wheels"
KEY = {"Authorization": "Bearer any"}


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHub]:
    """An empty host."""
    host = GitHub(folder=tmp_path / "host", repo=REPO, site=tmp_path / "site")
    with server.serving(host):
        yield host
    host.state.close()


def ask(github: GitHub, method: str, place: str, *, key: bool = True, **facts: Any) -> requests.Response:  # noqa: ANN401 -- JSON
    """Ask the API."""
    url = place if place.startswith("http") else f"{github.address}/repos/{REPO}/{place}"
    body = json.dumps(facts) if facts else None
    return requests.request(method, url, data=body, headers=KEY if key else {}, timeout=10)


def draft(github: GitHub, tag: str = "v1") -> dict[str, Any]:
    """A new draft."""
    answer = ask(github, "POST", "releases", tag_name=tag, draft=True)
    assert answer.status_code == 201
    return dict(answer.json())


def upload(release: dict[str, Any], name: str, data: bytes) -> requests.Response:
    """Upload an asset."""
    url = release["upload_url"].partition("{")[0]
    return requests.post(url, params={"name": name}, data=data, headers=KEY, timeout=10)


def test_a_draft_is_hidden_and_has_other_addresses_until_it_is_published(github: GitHub) -> None:
    release = draft(github)
    assert upload(release, "a+b.whl", b"data").json()["state"] == "uploaded"
    assert ask(github, "GET", "releases", key=False).json() == []
    (seen,) = ask(github, "GET", "releases").json()
    address = seen["assets"][0]["browser_download_url"]
    assert "/releases/download/untagged-" in address
    assert requests.get(address, timeout=10).status_code == 404
    published = ask(github, "PATCH", f"releases/{release['id']}", draft=False).json()
    address = published["assets"][0]["browser_download_url"]
    assert address == f"{github.address}/{REPO}/releases/download/v1/a%2Bb.whl"
    assert published["immutable"]
    assert published["published_at"]
    assert requests.get(address, timeout=10).content == b"data"
    assert upload(published, "more.whl", b"x").status_code == 422
    ranged = requests.get(address, headers={"Range": "bytes=1-2"}, timeout=10)
    assert (ranged.status_code, ranged.content, ranged.headers["Content-Range"]) == (206, b"at", "bytes 1-2/4")
    assert requests.get(address, headers={"Range": "bytes=9-"}, timeout=10).status_code == 416


def test_names_are_changed_as_github_does_and_taken_once(github: GitHub) -> None:
    release = draft(github)
    first = upload(release, "a!b c~(1).whl", b"x").json()
    assert first["name"] == "a.b.c.1..whl"
    again = upload(release, "a!b c~(1).whl", b"x")
    assert again.status_code == 422
    assert again.json()["errors"] == [{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}]
    assert ask(github, "DELETE", f"releases/assets/{first['id']}").status_code == 204
    assert ask(github, "DELETE", f"releases/assets/{first['id']}").status_code == 404
    assert upload(release, "a.b.c.1..whl", b"y").status_code == 201


def test_an_upload_that_breaks_off_leaves_an_unfinished_asset_that_holds_the_name(github: GitHub) -> None:
    release = draft(github)
    host, port = github.address.removeprefix("http://").split(":")
    place = release["upload_url"].partition("{")[0].removeprefix(github.address)
    with socket.create_connection((host, int(port))) as stream:
        head = f"POST {place}?name=a.whl HTTP/1.1\r\nHost: x\r\nAuthorization: any\r\nContent-Length: 100\r\n\r\n"
        stream.sendall(head.encode() + b"half")
        stream.shutdown(socket.SHUT_WR)
        assert stream.recv(100) == b""
    (asset,) = ask(github, "GET", f"releases/{release['id']}/assets").json()
    assert (asset["state"], asset["size"], asset["digest"]) == ("starter", 0, None)
    assert upload(release, "a.whl", b"x").status_code == 422


def test_a_tag_is_released_once(github: GitHub) -> None:
    one, two = draft(github), draft(github)
    assert ask(github, "PATCH", f"releases/{one['id']}", draft=False).status_code == 200
    answer = ask(github, "PATCH", f"releases/{two['id']}", draft=False)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "tag_name")
    assert ask(github, "POST", "releases", tag_name="v1").status_code == 422
    assert ask(github, "POST", "releases", tag_name="v2").json()["published_at"]


def test_a_branch_has_one_open_pull_request(github: GitHub) -> None:
    facts = {"title": "t", "body": "b", "head": "branch", "base": "main"}
    pull = ask(github, "POST", "pulls", **facts).json()
    assert (pull["number"], pull["state"]) == (1, "open")
    assert ask(github, "POST", "pulls", **facts).status_code == 422
    assert ask(github, "PATCH", "pulls/1", title="u").json()["title"] == "u"
    assert len(ask(github, "GET", "pulls?head=someone:branch&base=main").json()) == 1
    assert ask(github, "GET", "pulls?head=someone:other").json() == []
    ask(github, "PATCH", "pulls/1", state="closed")
    assert ask(github, "GET", "pulls?state=open").json() == []
    assert ask(github, "POST", "pulls", **facts).json()["number"] == 2


@pytest.mark.parametrize(
    ("method", "place"),
    [
        ("GET", "labels"),
        ("GET", "actions/caches"),
        ("GET", "releases/7/assets"),
        ("PATCH", "releases/7"),
        ("POST", "releases/7/assets?name=x"),
        ("PATCH", "pulls/7"),
        ("GET", "http://127.0.0.1:{port}/someone/wheels/releases/download/v1/x"),
        ("GET", "http://127.0.0.1:{port}/pages/nothing.html"),
        ("GET", "http://127.0.0.1:{port}/pages/../host/state.sqlite"),
        ("GET", "http://127.0.0.1:{port}/pages/%2e%2e/host/state.sqlite"),
    ],
)
def test_what_is_not_there_is_not_found(github: GitHub, method: str, place: str) -> None:
    facts = {"title": "t"} if method == "PATCH" else {}
    assert ask(github, method, place.format(port=github.address.rpartition(":")[2]), **facts).status_code == 404


def test_nothing_is_changed_without_a_token(github: GitHub) -> None:
    assert ask(github, "POST", "releases", key=False, tag_name="v1").status_code == 401
    assert ask(github, "GET", "releases").json() == []


def test_lists_are_paged_and_know_whether_they_changed(github: GitHub) -> None:
    run = github.state.add("run", {"path": ".github/workflows/wheels.yml", "head_sha": "a"})
    for number in range(5):
        github.state.add("artifact", {"name": f"wheel-{number}", "expired": False}, parent=run["id"])
    place = f"actions/runs/{run['id']}/artifacts?per_page=3"
    first = ask(github, "GET", place)
    assert first.json()["total_count"] == 5
    second = requests.get(first.links["next"]["url"], timeout=10).json()["artifacts"]
    assert [artifact["name"] for artifact in second] == ["wheel-3", "wheel-4"]
    tag = {"If-None-Match": first.headers["ETag"]}
    url = f"{github.address}/repos/{REPO}/{place}"
    assert requests.get(url, headers=tag, timeout=10).status_code == 304
    runs = ask(github, "GET", "actions/workflows/wheels.yml/runs?head_sha=a").json()
    assert [found["id"] for found in runs["workflow_runs"]] == [run["id"]]


def test_it_knows_all_of_it_again_after_it_was_stopped(github: GitHub, tmp_path: Path) -> None:
    release = draft(github)
    upload(release, "a.whl", b"data")
    ask(github, "PATCH", f"releases/{release['id']}", draft=False)
    port = int(github.address.rpartition(":")[2])
    again = GitHub(folder=tmp_path / "host", repo=REPO)
    with pytest.raises(OSError, match="in use"), server.serving(again, port=port):
        pytest.fail("the port was taken")
    with server.serving(again):
        (seen,) = ask(again, "GET", "releases").json()
        assert requests.get(seen["assets"][0]["browser_download_url"], timeout=10).content == b"data"
    again.state.close()


def test_pages_are_served_as_static_hosts_do(github: GitHub, tmp_path: Path) -> None:
    (tmp_path / "site" / "cu12").mkdir(parents=True)
    (tmp_path / "site" / "cu12" / "index.html").write_text("<p>")
    answer = requests.get(f"{github.pages}cu12/", timeout=10)
    assert (answer.text, answer.headers["Cache-Control"]) == ("<p>", "max-age=600")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    known = {"If-None-Match": answer.headers["ETag"]}
    assert requests.get(f"{github.pages}cu12/", headers=known, timeout=10).status_code == 304
    assert requests.head(f"{github.pages}cu12/", timeout=10).headers["Content-Length"] == "3"
