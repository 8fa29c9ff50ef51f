"""The documents as pages: links, anchors, images, and nothing that a document could smuggle in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tfwheel.index import documents
from tfwheel.index.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "README.md": b"# Contents\n\n- [B](b.md)\n- [A](a.md#two)\n",
    "a.md": b"# About `a`\n\n## One\n\n## Two\n\n## Two\n",
    "b.md": b"# Beta\n\n![a picture](images/x.png)\n",
    "c.md": b"no heading\n",
    "images/x.png": b"\x89PNG",
    "notes.txt": b"not shown",
}


def body(text: str, *, repository: str = "") -> str:
    """What a document of that text has between its navigation and its footer."""
    files = {"README.md": b"# Contents\n", "other.md": b"# Other\n", "page.md": text.encode()}
    page = documents.render(files, repository=repository)["docs/page.html"].decode()
    found = re.search(r"<main[^>]*>\n(.*?)</main>", page, re.DOTALL)
    assert found
    return found[1]


def test_each_document_has_a_page_and_images_stay_images() -> None:
    pages = documents.render(FILES)
    names = {"index.html", "a.html", "b.html", "c.html", "images/x.png"}
    assert set(pages) == {f"docs/{name}" for name in names}
    assert pages["docs/images/x.png"] == b"\x89PNG"


def test_the_contents_give_the_order_and_what_they_forget_comes_last() -> None:
    page = documents.render(FILES)["docs/index.html"].decode()
    navigation = page.partition('class="books"')[2].partition("</nav>")[0]
    assert re.findall(r'href="([^"]*)"', navigation) == ["b.html", "a.html", "c.html"]


def test_a_page_marks_its_place_and_lists_its_sections() -> None:
    page = documents.render(FILES)["docs/a.html"].decode()
    assert '<a href="a.html" aria-current="page">About a</a>' in page
    assert [f'<a href="#{anchor}">' in page for anchor in ("one", "two", "two-1")] == [True] * 3
    assert "<title>About a - TensorFlow wheels</title>" in page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[x](other.md)", '<a href="other.html">x</a>'),
        ("[x](./other.md#y)", '<a href="other.html#y">x</a>'),
        ("[x](README.md)", '<a href="index.html">x</a>'),
        ("[x](#y)", '<a href="#y">x</a>'),
        ("[x](https://example.org/a.md)", '<a href="https://example.org/a.md">x</a>'),
        ("![x](images/y.png)", '<img src="images/y.png" alt="x" />'),
        ("[x](../../scripts/a.py), too", "x (<code>scripts/a.py</code>), too"),
    ],
)
def test_links_lead_where_they_lead_in_the_repository(text: str, expected: str) -> None:
    assert expected in body(text)


def test_other_files_of_the_repository_are_linked_where_it_is_known() -> None:
    found = body("[x](../../build_config/ops/README.md#add-an-op)", repository="octo/wheels")
    assert '<a href="https://github.com/octo/wheels/blob/HEAD/build_config/ops/README.md#add-an-op">x</a>' in found


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a <img src=x onerror=alert(1)> b", "[x](javascript:a)"])
def test_html_and_scripts_stay_text(text: str) -> None:
    assert not re.search(r"<script|<img|href=\"javascript", body(text))


@pytest.mark.parametrize("target", ["../../../../../etc/passwd", "//evil.example/x", "/etc/passwd", "../../.."])
def test_a_link_out_of_the_repository_is_refused(target: str) -> None:
    with pytest.raises(DocumentError, match="is not in the repository"):
        body(f"[o]({target})", repository="octo/wheels")


def test_a_heading_without_letters_has_an_anchor() -> None:
    assert re.findall(r'id="([^"]*)"', body("## !!!\n\n## ???\n")) == ["section", "section-1"]


def test_pictures_of_every_kind_are_shown_and_names_are_quoted() -> None:
    pages = documents.render({"README.md": b"# A", "50% more.md": b"# B", "x.webp": b"1", "y.jpg": b"2", "z.svg": b"3"})
    assert {"docs/x.webp", "docs/y.jpg"} <= set(pages)
    assert "docs/z.svg" not in pages
    assert b'href="50%25%20more.html"' in pages["docs/index.html"]


def test_tables_and_code_scroll_in_frames_that_take_the_focus() -> None:
    found = body("| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```sh not-run: why\nnox -l\n```\n")
    assert found.count('<div tabindex="0" class="scroll">') == found.count("</div>") == 2
    assert '<pre><code class="language-sh">nox -l\n</code></pre>' in found


def test_a_page_runs_no_script_and_admits_none() -> None:
    page = documents.render(FILES)["docs/b.html"].decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' data:; style-src 'sha256-"
    )
    assert "script" not in policy[1]
    assert "<script" not in page


def test_equal_files_give_equal_bytes_in_any_order() -> None:
    assert documents.render(dict(reversed(FILES.items()))) == documents.render(FILES)


def test_a_folder_that_is_not_there_has_no_documents(tmp_path: Path) -> None:
    assert documents.render(documents.read(tmp_path / "docs")) == {}
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "x.png").write_bytes(b"x")
    assert documents.read(tmp_path) == {"images/x.png": b"x"}


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n")
    (tmp_path / "secret.png").symlink_to("/etc/hostname")
    with pytest.raises(DocumentError, match=r"secret\.png is a link"):
        documents.read(tmp_path)


def test_a_document_in_a_folder_below_is_refused_and_an_image_is_not(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"PNG")
    assert documents.read(tmp_path) == {"images/a.png": b"PNG"}
    (tmp_path / "images" / "a.md").write_text("# A\n")
    with pytest.raises(DocumentError, match="only images are in folders below"):
        documents.read(tmp_path)


def test_what_is_not_utf8_is_named() -> None:
    with pytest.raises(DocumentError, match=r"index/docs/a\.md is not UTF-8"):
        documents.render({"a.md": b"# \xff"})


def test_two_documents_for_one_page_are_refused() -> None:
    with pytest.raises(DocumentError, match=r"would both be index\.html"):
        documents.render({"README.md": b"# A", "index.md": b"# B"})


def test_a_byte_order_mark_is_no_part_of_the_title() -> None:
    assert b"<title>A" in documents.render({"a.md": b"\xef\xbb\xbf# A\n"})["docs/a.html"]
