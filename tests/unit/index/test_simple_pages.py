"""Render: what each page says about each file, and that equal ledgers give equal bytes."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tfwheel.index import simple_pages
from tfwheel.index.errors import NameTakenError
from tfwheel.index.ledger_entry import LedgerEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE, DATA = "cu12/tensorflow/index.html", "cu12/tensorflow/index.json"
FILE = "tensorflow-2.20.0+cu125.1-cp312-cp312-manylinux_2_17_x86_64.whl"
ROW = LedgerEntry(
    project="tensorflow",
    version="2.20.0+cu125.1",
    file=FILE,
    line="cu12",
    url="",
    sha256="a" * 64,
    size=600,
    uploaded="2026-11-21T04:00:00Z",
    requires_python=">=3.9,<4",
    metadata_sha256="b" * 64,
    target="tf2.20.0-cp312-cu12",
    smoke={"passed": True, "python": "3.12.1"},
)
AWAY = replace(ROW, url="https://example.org/v1/a%2Bb.whl?x=1&y=2")
NASTY = "\"'><script>&amp;</a>"


class Reader(HTMLParser):
    """Anchors and meta tags of a page, as an installer reads them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self.meta: dict[str | None, str | None] = {}
        self.inside = False
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.inside = tag == "a"
        if tag == "a":
            self.links.append(facts)
        elif tag == "meta" and "name" in facts:
            self.meta[facts["name"]] = facts["content"]

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts.append(data)
            self.inside = False


def pages(rows: Iterable[LedgerEntry]) -> dict[str, bytes]:
    """All pages by path."""
    made: dict[str, Any] = {}
    for part in simple_pages.parts(rows).values():
        made |= part.make()
    return made


def link(row: LedgerEntry) -> dict[str, str | None]:
    """The one link of the page of a row."""
    found = Reader(pages([row])[PAGE]).links
    assert len(found) == 1
    return found[0]


def listed(row: LedgerEntry) -> dict[str, Any]:
    """The one file in the JSON of a row."""
    files: list[dict[str, Any]] = json.loads(pages([row])[DATA])["files"]
    assert len(files) == 1
    return files[0]


def test_a_link_carries_all_that_a_client_decides_by() -> None:
    assert link(ROW) == {
        "href": f"{FILE.replace('+', '%2B')}#sha256={'a' * 64}",
        "data-requires-python": ">=3.9,<4",
        "data-core-metadata": f"sha256={'b' * 64}",
        "data-dist-info-metadata": f"sha256={'b' * 64}",
        "data-upload-time": "2026-11-21T04:00:00Z",
        "data-size": "600",
    }
    assert Reader(pages([ROW])[PAGE]).texts == [FILE]


def test_json_says_the_same() -> None:
    assert json.loads(pages([ROW])[DATA]) == {
        "meta": {"api-version": "1.4"},
        "name": "tensorflow",
        "project-status": {"status": "active"},
        "versions": ["2.20.0+cu125.1"],
        "files": [
            {
                "filename": FILE,
                "url": FILE.replace("+", "%2B"),
                "hashes": {"sha256": "a" * 64},
                "size": 600,
                "upload-time": "2026-11-21T04:00:00Z",
                "core-metadata": {"sha256": "b" * 64},
                "dist-info-metadata": {"sha256": "b" * 64},
                "requires-python": ">=3.9,<4",
                "yanked": False,
            }
        ],
    }


def test_a_file_elsewhere_is_linked_by_its_address_as_it_is() -> None:
    assert link(AWAY)["href"] == f"{AWAY.url}#sha256={'a' * 64}"
    assert listed(AWAY)["url"] == AWAY.url


@pytest.mark.parametrize(
    ("yanked", "attribute", "value"),
    [(None, None, False), ("", "", True), ("CUDA 12.5 is broken", "CUDA 12.5 is broken", "CUDA 12.5 is broken")],
)
def test_a_yank_needs_no_reason(yanked: str | None, attribute: str | None, value: object) -> None:
    row = replace(ROW, yanked=yanked)
    assert ("data-yanked" in link(row)) is (yanked is not None)
    assert link(row).get("data-yanked") == attribute
    assert listed(row)["yanked"] == value


def test_no_requires_python_is_no_attribute() -> None:
    row = replace(ROW, requires_python="")
    assert "data-requires-python" not in link(row)
    assert "requires-python" not in listed(row)


@pytest.mark.parametrize("field", ["requires_python", "yanked", "url"])
def test_no_text_can_leave_its_attribute(field: str) -> None:
    found = link(replace(ROW, **{field: NASTY}))
    assert NASTY in [value and value.partition("#")[0] for value in found.values()]
    assert b"<script>" not in pages([replace(ROW, **{field: NASTY})])[PAGE]


def test_pages_name_the_version_of_the_protocol_and_the_status_and_nothing_of_the_rejected_pep_708() -> None:
    made = pages([ROW])
    assert Reader(made[PAGE]).meta == {"pypi:repository-version": "1.4", "pypi:project-status": "active"}
    assert Reader(made["cu12/index.html"]).meta == {"pypi:repository-version": "1.4"}
    assert json.loads(made["cu12/index.json"])["meta"] == {"api-version": "1.4"}
    assert all(page.startswith(b"<!DOCTYPE html>") for path, page in made.items() if path.endswith(".html"))
    assert not any(b"tracks" in page or b"alternate" in page for page in made.values())


def test_each_line_lists_its_own_projects_by_normalized_name_and_there_is_no_blend_of_lines() -> None:
    ops = replace(ROW, project="TFwheel_Ops", file="tfwheel_ops-1-py3-none-any.whl", version="1")
    made = pages([ROW, ops, replace(ROW, line="cpu")])
    assert [found["href"] for found in Reader(made["cu12/index.html"]).links] == ["tensorflow/", "tfwheel-ops/"]
    assert [found["href"] for found in Reader(made["cpu/index.html"]).links] == ["tensorflow/"]
    assert json.loads(made["cu12/index.json"])["projects"] == [{"name": "tensorflow"}, {"name": "tfwheel-ops"}]
    assert "cu12/tfwheel-ops/index.html" in made
    assert not [path for path in made if path.startswith("index.") or "/" not in path]


def test_spellings_of_a_project_share_a_page() -> None:
    made = pages([ROW, replace(ROW, project="TensorFlow", file="b.whl")])
    assert len(Reader(made[PAGE]).links) == 2


def test_versions_are_in_order_of_version_not_of_spelling() -> None:
    rows = [replace(ROW, version=f"2.{minor}.0", file=f"{minor}.whl") for minor in (20, 9, 21)]
    assert Reader(pages(rows)[PAGE]).texts == ["9.whl", "20.whl", "21.whl"]
    assert json.loads(pages(rows)[DATA])["versions"] == ["2.9.0", "2.20.0", "2.21.0"]


def test_a_removed_file_is_on_no_page_and_a_page_of_none_is_not_there() -> None:
    gone = replace(ROW, removed="it held a secret")
    assert pages([gone]) == {}
    made = pages([gone, replace(ROW, project="tfwheel-ops")])
    assert PAGE not in made
    assert [found["href"] for found in Reader(made["cu12/index.html"]).links] == ["tfwheel-ops/"]


def test_an_empty_ledger_has_no_pages() -> None:
    assert pages([]) == {}


def test_a_page_never_lists_a_file_name_twice() -> None:
    with pytest.raises(NameTakenError, match="cu12/tensorflow"):
        pages([ROW, replace(ROW, sha256="c" * 64)])


@given(st.permutations([replace(ROW, file=f"{n}.whl", version=f"{n % 3}.0", line=f"l{n % 2}") for n in range(8)]))
def test_any_order_of_the_same_rows_gives_the_same_bytes(rows: list[LedgerEntry]) -> None:
    ordered = sorted(rows, key=lambda row: row.file)
    assert list(pages(rows).items()) == list(pages(ordered).items())


def test_the_key_of_a_part_changes_with_what_it_shows_and_with_nothing_else() -> None:
    def key_of(rows: list[LedgerEntry]) -> dict[str, str]:
        return {name: part.key for name, part in simple_pages.parts(rows).items()}

    other = replace(ROW, project="tfwheel-ops")
    before = key_of([ROW, other])
    after = key_of([replace(ROW, yanked=""), other])
    assert [name for name in before if before[name] != after[name]] == ["cu12/tensorflow"]
    assert key_of(
        [replace(ROW, smoke=None, gpu_code={"ops": ("sm_75",)}, attestation="https://example.org/a")]
    ) == key_of([ROW])
