"""Verify: every fault that an index seen from outside can have is found, with its address."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from msgspec.structs import replace

from publications import finish, publication
from tfwheel.index import ledger, manifest, site
from tfwheel.publish import publish, verify
from tfwheel.publish.errors import VerifyError
from tfwheel.system.errors import DownloadError
from tfwheel.system.web import Answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGES = "https://pages.example/"
PAGE = "cu12/tensorflow/"
NAME = "tensorflow-2.20.0+cu125.1-py3-none-manylinux_2_17_x86_64.whl"
ASSET = f"v1/{NAME}"


@dataclass(kw_only=True)
class Web:
    """Two hosts in memory: files by their unquoted path, and which of them answer in ways of their own."""

    files: dict[str, bytes]
    kinds: dict[str, str] = field(default_factory=dict)
    knows_ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, url: str, *, method: str = "GET", headers: dict[str, str], only: int) -> Answer:
        """What downloads.ask gives."""
        assert headers["Cache-Control"] == "no-cache"
        assert only == (206 if "Range" in headers else 200)
        parts = urlsplit(url)
        assert parts.query.startswith("fresh=")
        path = unquote(parts.path).removeprefix("/")
        self.asked.append((method, path))
        body = self.files.get(path + "index.html" if path.endswith("/") else path)
        if body is None:
            return Answer(url=url, status=404, headers={}, body=b"")
        said = {"Content-Length": str(len(body)), "Content-Type": self.kinds.get(path, "text/html; charset=utf-8")}
        if "Range" in headers and self.knows_ranges:
            first, last = map(int, headers["Range"].removeprefix("bytes=").split("-"))
            return Answer(url=url, status=206, headers=said, body=body[first : last + 1])
        return Answer(url=url, status=200, headers=said, body=b"" if method == "HEAD" else body)

    def alter(self, path: str, change: Callable[[bytes], bytes]) -> None:
        """Change a file, and the manifest with it where it is in there, as a faulty renderer would."""
        self.files[path] = change(self.files[path])
        content = json.loads(self.files[manifest.NAME])
        if path in content["files"]:
            content["files"][path]["sha256"] = hashlib.sha256(self.files[path]).hexdigest()
            self.files[manifest.NAME] = json.dumps(content).encode()


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Web:
    """A good index of two wheels."""
    job = publication(tmp_path, [finish(tmp_path / "wheels", build) for build in (1, 2)])
    publish.publish(job)
    ledger.yank(job.ledger, job.wheels[1].name, "")
    publish.publish(publication(tmp_path, []))
    files = {path.relative_to(job.site).as_posix(): path for path in job.site.rglob("*")}
    files |= {path.relative_to(tmp_path / "assets").as_posix(): path for path in (tmp_path / "assets").rglob("*")}
    web = Web(files={name: path.read_bytes() for name, path in files.items() if path.is_file()})
    monkeypatch.setattr("tfwheel.system.web.ask", web.ask)
    return web


def test_a_good_index_is_found_good_and_every_asset_is_asked_for(web: Web) -> None:
    entries = verify.verify(PAGES, expected=web.files[manifest.NAME])
    assert entries[0].file == NAME
    assert [method for method, path in web.asked if path == ASSET] == ["HEAD", "GET"]
    assert sum(path.endswith(".metadata") for _, path in web.asked) == 2


def test_only_new_assets_are_asked_for_but_all_pages_are_read(web: Web) -> None:
    assert len(verify.verify(PAGES, new={NAME})) == 2
    assert {path for _, path in web.asked if ".whl" in path} == {ASSET, f"{ASSET}.metadata"}
    assert {"cu12/index.html", f"{PAGE}index.html", PAGE} <= {path for _, path in web.asked}


def test_wheels_beside_their_page_are_found_there(tmp_path: Path, web: Web) -> None:
    known = ledger.read(tmp_path / "ledger.jsonl").entries[0]
    lines = ledger.encode(replace(known, url="")) + b"\n"
    parts = site.parts(ledger.parse(lines, name="x")).values()
    web.files |= {name: bytes(data) for part in parts for name, data in part.make().items()}
    listed = {name: {"sha256": "", "size": 0} for part in parts for name in part.make()}
    web.files[manifest.NAME] = json.dumps({"version": 1, "files": listed}).encode()
    for name in listed:
        web.alter(name, lambda data: data)
    for end in ("", ".metadata"):
        web.files[f"{PAGE}{NAME}{end}"] = web.files.pop(f"{ASSET}{end}")
    assert verify.verify(PAGES)[0].url == ""
    assert ("HEAD", f"{PAGE}{NAME}") in web.asked


@pytest.mark.parametrize(
    ("path", "old", "new", "fault"),
    [
        (f"{PAGE}index.html", b"#sha256=", b"#sha256=0", f"the link of {NAME} is wrong: its hash is 'sha256=0"),
        (f"{PAGE}index.html", b"#sha256=", b"#md5=", "its hash is 'md5="),
        (f"{PAGE}index.html", b"data-core-metadata", b"data-core", "data-core-metadata is None"),
        (f"{PAGE}index.html", b'info-metadata="sha256=', b'info-metadata="sha256=f', "data-dist-info-metadata is"),
        (f"{PAGE}index.html", b"&gt;=3.9", b"&gt;=3.10", "data-requires-python is '>=3.10'"),
        (f"{PAGE}index.html", b' data-yanked=""', b"", "data-yanked is None"),
        (f"{PAGE}index.html", b"/v1/", b"/v2/", "its target is https://assets"),
        (
            f"{PAGE}index.html",
            b">" + NAME.encode(),
            b">other.whl",
            f"does not link to the ledger's files: other.whl, {NAME}",
        ),
        (
            f"{PAGE}index.html",
            b"</body>",
            b'<a href="x">other.whl</a></body>',
            "not link to the ledger's files: other.whl",
        ),
    ],
)
def test_a_page_that_says_something_else_than_the_ledger_is_a_fault(
    path: str, old: bytes, new: bytes, fault: str, web: Web
) -> None:
    assert old in web.files[path]
    web.alter(path, lambda page: page.replace(old, new))
    with pytest.raises(VerifyError) as caught:
        verify.verify(PAGES)
    assert caught.value.message.startswith(f"{PAGES}{PAGE}: ")
    assert fault in caught.value.message


def test_a_file_that_is_linked_twice_is_a_fault(web: Web) -> None:
    def double(page: bytes) -> bytes:
        line = page[page.index(b"<a ") : page.index(b"</a>") + 4]
        return page.replace(line, line + line, 1)

    web.alter(f"{PAGE}index.html", double)
    with pytest.raises(VerifyError, match="one twice"):
        verify.verify(PAGES)


def test_a_page_that_is_not_the_listed_one_is_a_fault(web: Web) -> None:
    web.files["cu12/index.json"] += b" "
    with pytest.raises(VerifyError, match=r"cu12/index\.json: does not match"):
        verify.verify(PAGES)


def test_a_folder_that_shows_another_page_is_a_fault(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = web.ask
    stale = web.files[f"{PAGE}index.html"] + b"stale"

    def confused(url: str, **words: object) -> Answer:
        answer = ask(url, **words)
        return Answer(**{**vars(answer), "body": stale}) if urlsplit(url).path.endswith("tensorflow/") else answer

    monkeypatch.setattr("tfwheel.system.web.ask", confused)
    with pytest.raises(VerifyError, match=r"differs from its index\.html"):
        verify.verify(PAGES)


def test_a_page_of_a_type_that_installers_skip_is_a_fault(web: Web) -> None:
    web.kinds[PAGE] = "application/json"
    with pytest.raises(VerifyError, match="has content type application/json"):
        verify.verify(PAGES)


def test_another_manifest_than_the_published_one_is_a_fault(web: Web) -> None:
    with pytest.raises(VerifyError, match=r"manifest\.json: is not the manifest that was published"):
        verify.verify(PAGES, expected=web.files[manifest.NAME] + b" ")


@pytest.mark.parametrize(("path", "data"), [(manifest.NAME, b"<html>"), (manifest.LEDGER, b"half a line")])
def test_a_manifest_or_ledger_that_cannot_be_read_is_a_fault(path: str, data: bytes, web: Web) -> None:
    if path == manifest.LEDGER:
        web.alter(path, lambda _: data)
    web.files[path] = data
    with pytest.raises(VerifyError, match=f"{PAGES}{path}"):
        verify.verify(PAGES)


@pytest.mark.parametrize(
    ("path", "change", "fault"),
    [
        (ASSET, lambda data: data[:-1], "bytes where"),
        (ASSET, lambda data: data.replace(b"METADATA", b"METADATE"), "differs from the published file"),
        (ASSET, lambda data: bytes(len(data)), "returns a wrong range"),
        (f"{ASSET}.metadata", lambda data: data + b"x", "is not the METADATA"),
    ],
    ids=["cut", "altered", "zeros", "sidecar"],
)
def test_an_asset_that_is_not_the_published_one_is_a_fault(
    path: str, change: Callable[[bytes], bytes], fault: str, web: Web
) -> None:
    web.files[path] = change(web.files[path])
    with pytest.raises(VerifyError, match=fault) as caught:
        verify.verify(PAGES)
    assert unquote(caught.value.message).startswith(f"https://assets.example/{path}: ")


def test_a_host_without_ranges_is_a_fault(web: Web) -> None:
    web.knows_ranges = False
    with pytest.raises(VerifyError, match="does not serve ranges"):
        verify.verify(PAGES)


@pytest.mark.parametrize("path", [manifest.NAME, ASSET, f"{ASSET}.metadata", "cu12/index.html"])
def test_what_is_not_there_is_a_fault(path: str, web: Web) -> None:
    del web.files[path]
    with pytest.raises(VerifyError, match="status 404"):
        verify.verify(PAGES)


def test_a_host_that_does_not_answer_is_no_fault_of_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(url: str, **_: object) -> Answer:
        message = f"{url}: connection refused"
        raise DownloadError(message)

    monkeypatch.setattr("tfwheel.system.web.ask", silent)
    with pytest.raises(DownloadError, match="connection refused"):
        verify.verify(PAGES)


def test_a_host_that_has_not_caught_up_is_given_its_time(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    page = web.files.pop("cu12/index.html")

    def wait(_: float) -> None:
        web.files["cu12/index.html"] = page

    monkeypatch.setattr(verify.time, "sleep", wait)
    assert len(verify.verify(PAGES, patience_s=60)) == 2


@pytest.mark.usefixtures("web")
def test_a_file_that_is_not_listed_cannot_be_installed() -> None:
    with pytest.raises(VerifyError, match=r"does not list other\.whl"):
        verify.install(PAGES, verify.verify(PAGES), "other.whl")


@pytest.mark.usefixtures("web")
def test_a_client_that_installs_another_version_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_install", lambda *_: "2.20.0")
    with pytest.raises(VerifyError, match=r"/cu12/: uv installed tensorflow 2\.20\.0 where"):
        verify.install(PAGES, verify.verify(PAGES), NAME, clients=["uv"])


def test_links_are_read_as_installers_read_them() -> None:
    page = b'<a name="x">no</a> <p>text</p><A HREF="../a%2B1.whl#sha256=0" data-x="&gt;1">a+<b>1</b>.whl</A>'
    first, second = verify.links_of(page, "https://host/l/p/")
    assert (first.text, first.target) == ("no", "https://host/l/p/")
    assert (second.text, second.target) == ("a+1.whl", "https://host/l/a%2B1.whl#sha256=0")
    assert second.attributes == {"data-x": ">1"}
