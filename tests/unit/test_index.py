"""Index: pages, sidecars, and what must not enter."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel import index
from tfwheel.errors import BadWheelError, IndexEntryError
from tfwheel.index import IndexFile
from tfwheel.records import Record

if TYPE_CHECKING:
    from pathlib import Path

TAG = "cp312-cp312-manylinux_2_17_x86_64"
FILE = f"tensorflow-2.20.0+cu125.1-{TAG}.whl"
ENTRY = IndexFile(
    project="tensorflow",
    version="2.20.0+cu125.1",
    file=FILE,
    line="cu12",
    url=FILE.replace("+", "%2B"),
    sha256="a" * 64,
    size=3,
    requires_python=">=3.9,<4",
    metadata=b"Name: tensorflow\n",
)
OPS = replace(
    ENTRY, project="tfwheel_Ops", file="tfwheel_ops-1-py3-none-any.whl", url="x", sha256="b" * 64, version="1"
)
RECORD = Record(
    target="t", project="p", version="1", line="cu12", python="3.12", file="f", sha256="aa", size=1, key="k"
)


class Links(HTMLParser):
    """The anchors of a page, as an installer reads them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


def wheel(folder: Path, *, name: str = "tensorflow", version: str = "2.20.0+cu125.1") -> Path:
    """A small wheel."""
    return fakewheels.write_wheel(folder, {f"{name}/__init__.py": b""}, name=name, version=version, tag=TAG)


def test_a_link_carries_what_pip_needs_to_decide_without_the_wheel() -> None:
    page = index.render([ENTRY])["cu12/tensorflow/index.html"]
    digest = "sha256=" + hashlib.sha256(ENTRY.metadata).hexdigest()
    assert page.startswith(b"<!DOCTYPE html>")
    assert Links(page).found == [
        {
            "href": f"tensorflow-2.20.0%2Bcu125.1-{TAG}.whl#sha256={'a' * 64}",
            "data-requires-python": ">=3.9,<4",
            "data-core-metadata": digest,
            "data-dist-info-metadata": digest,
        }
    ]


def test_requires_python_is_escaped_in_the_page_and_left_out_when_there_is_none() -> None:
    assert b'data-requires-python="&gt;=3.9,&lt;4"' in index.render([ENTRY])["cu12/tensorflow/index.html"]
    bare = index.render([replace(ENTRY, requires_python="")])["cu12/tensorflow/index.html"]
    assert b"data-requires-python" not in bare


def test_hostile_text_cannot_leave_its_attribute() -> None:
    page = index.render([replace(ENTRY, requires_python='"><script>')])["cu12/tensorflow/index.html"]
    assert b"<script>" not in page


def test_the_sidecar_is_the_metadata_itself() -> None:
    assert index.render([ENTRY])[f"cu12/tensorflow/{FILE}.metadata"] == ENTRY.metadata


def test_each_line_lists_only_its_own_projects_by_normalized_name() -> None:
    pages = index.render([ENTRY, OPS, replace(ENTRY, line="cpu", file="c.whl")])
    assert [link["href"] for link in Links(pages["cu12/index.html"]).found] == ["tensorflow/", "tfwheel-ops/"]
    assert [link["href"] for link in Links(pages["cpu/index.html"]).found] == ["tensorflow/"]
    assert [link["href"] for link in Links(pages["index.html"]).found] == ["cpu/", "cu12/"]


def test_versions_are_in_order_of_version_not_of_spelling() -> None:
    entries = [replace(ENTRY, version=f"2.{minor}.0", file=f"{minor}", url=f"{minor}") for minor in (20, 9, 21)]
    found = Links(index.render(entries)["cu12/tensorflow/index.html"]).found
    assert [str(link["href"]).split("#")[0] for link in found] == ["9", "20", "21"]


def test_any_order_of_the_same_files_gives_the_same_bytes() -> None:
    one, other = index.render([ENTRY, OPS]), index.render([OPS, ENTRY, ENTRY])
    assert list(one.items()) == list(other.items())


def test_the_root_page_shows_people_the_exact_pins() -> None:
    assert b"tensorflow==2.20.0+cu125.1" in index.render([ENTRY])["index.html"]


def test_an_empty_index_is_a_root_page() -> None:
    assert list(index.render([])) == ["index.html"]


@pytest.mark.parametrize("line", ["cu12", "cpu"])
def test_a_file_name_never_stands_for_two_files(line: str) -> None:
    with pytest.raises(IndexEntryError, match="two files") as failure:
        index.render([ENTRY, replace(ENTRY, sha256="c" * 64, line=line)])
    assert "build" in failure.value.remedy


def test_a_wheel_is_read_into_an_entry(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    entry = index.from_wheel(path, line="cu12")
    assert (entry.project, entry.version, entry.file, entry.line) == ("tensorflow", "2.20.0+cu125.1", FILE, "cu12")
    assert entry.url == FILE.replace("+", "%2B")
    assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert entry.size == path.stat().st_size
    assert entry.requires_python == ">=3.9"
    assert entry.metadata == zipfile.ZipFile(path).read("tensorflow-2.20.0+cu125.1.dist-info/METADATA")
    assert entry.pin == "tensorflow==2.20.0+cu125.1"


@pytest.mark.parametrize("false_name", [f"tensorflow-2.20.0-{TAG}.whl", f"keras-2.20.0+cu125.1-{TAG}.whl"])
def test_a_renamed_wheel_is_refused(tmp_path: Path, false_name: str) -> None:
    path = wheel(tmp_path).rename(tmp_path / false_name)
    with pytest.raises(BadWheelError, match=r"has no .*dist-info/METADATA"):
        index.from_wheel(path, line="cu12")


@pytest.mark.parametrize("metadata", [b"Name: tensorflow\nVersion: 2.20.0\n", b"Name: tensorflow\n", b""])
def test_metadata_that_contradicts_the_file_name_is_refused(tmp_path: Path, metadata: bytes) -> None:
    path = tmp_path / FILE
    fakewheels.write_zip(path, {"tensorflow-2.20.0+cu125.1.dist-info/METADATA": metadata})
    with pytest.raises(IndexEntryError, match="METADATA says"):
        index.from_wheel(path, line="cu12")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / FILE
    path.write_bytes(data)
    with pytest.raises(BadWheelError, match="not a wheel"):
        index.from_wheel(path, line="cu12")


def test_a_file_name_that_is_no_wheel_name_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path).rename(tmp_path / "tensorflow-2.20.0+cu125.1.whl")
    with pytest.raises(IndexEntryError, match="wheel"):
        index.from_wheel(path, line="cu12")


@pytest.mark.parametrize(
    ("smoke", "reason"),
    [
        ({"passed": True, "wheel_sha256": "aa"}, None),
        (None, "never smoke-tested"),
        ({"passed": False, "wheel_sha256": "aa", "reason": "matmul is wrong"}, "failed: matmul is wrong"),
        ({"passed": "yes", "wheel_sha256": "aa"}, "failed"),
        ({"passed": True, "wheel_sha256": "bb"}, "other bytes"),
        ({"passed": True}, "other bytes"),
    ],
)
def test_no_passing_smoke_report_no_line_in_the_index(smoke: dict[str, object] | None, reason: str | None) -> None:
    found = index.publishable(RECORD.grown(smoke=smoke))
    assert found is None if reason is None else reason in str(found)
