"""Everything a site shows: for installers always, for people where they are asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import pagedata
from tfwheel.config import build_config
from tfwheel.config.targets import RESERVED, is_line_name
from tfwheel.index import atomic_tree, install_files, ledger, site
from tfwheel.index.ledger import Ledger
from tfwheel.index.site import SiteContent

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = sorted(pagedata.release(), key=lambda entry: entry.place)
KNOWN = ledger.parse(b"".join(ledger.encode(entry) + b"\n" for entry in ENTRIES), name="x")


def paths(parts: dict[str, atomic_tree.Part]) -> set[str]:
    return {path for part in parts.values() for path in part.make()}


@pytest.fixture
def content(tmp_path: Path) -> SiteContent:
    """The settings of this repository, and no locks yet."""
    return SiteContent(settings=build_config.load(), locks=tmp_path)


def test_without_content_there_are_pages_for_installers_and_the_ledger() -> None:
    found = paths(site.parts(KNOWN))
    assert {"ledger.jsonl", "cu12/index.html", "cu12/tensorflow/index.json"} <= found
    assert "index.html" not in found


def test_content_adds_the_landing_page_the_documents_and_the_install_material(content: SiteContent) -> None:
    added = paths(site.parts(KNOWN, content)) - paths(site.parts(KNOWN))
    assert {"index.html", "docs/index.html", "docs/install.html"} <= added
    assert {path.partition("/")[0] for path in added} == {"index.html", "docs", "install", "doctor.py", "wheels.json"}


def test_documents_are_made_anew_when_they_or_the_repository_change_and_not_for_a_wheel(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n")
    settings = build_config.load()
    content = SiteContent(settings=settings, documents=tmp_path)
    before = content.parts(KNOWN)["documents"]
    assert set(before.make()) == {"docs/a.html"}
    assert content.parts(Ledger())["documents"].key == before.key
    moved = replace(settings, index=settings.index.model_copy(update={"repository": "octo/wheels"}))
    assert SiteContent(settings=moved, documents=tmp_path).parts(KNOWN)["documents"].key != before.key
    (tmp_path / "a.md").write_text("# B\n")
    assert content.parts(KNOWN)["documents"].key != before.key


def test_without_documents_the_landing_page_links_to_none(content: SiteContent, tmp_path: Path) -> None:
    bare = replace(content, documents=tmp_path / "none")
    assert b"docs/" not in bytes(bare.parts(KNOWN)["people"].make()["index.html"])
    assert b'href="docs/index.html"' in bytes(content.parts(KNOWN)["people"].make()["index.html"])
    assert bare.parts(KNOWN)["documents"].make() == {}


def test_the_part_for_people_is_made_anew_when_a_lock_is_added(content: SiteContent) -> None:
    before = content.parts(KNOWN)["people"]
    lock = install_files.Lock(
        line="cu12",
        project="tensorflow",
        version="2.20.0+cu125.1",
        python="3.12",
        requirements="numpy==2.1.3\n",
        pylock='lock-version = "1.0"\n',
    )
    install_files.save([lock], content.locks)
    after = content.parts(KNOWN)["people"]
    assert after.key != before.key
    assert b"numpy==2.1.3\n" in after.make()[f"{lock.folder}/{lock.requirements_name}"]  # type: ignore[operator]
    assert content.parts(KNOWN)["people"].key == after.key


def test_settings_without_runtimes_have_a_page_too(tmp_path: Path) -> None:
    settings = build_config.load()
    bare = SiteContent(settings=build_config.Config(**{**vars(settings), "directory": tmp_path}), locks=tmp_path)
    assert "index.html" in paths(bare.parts(KNOWN))


def test_no_line_can_have_the_name_of_a_folder_that_the_site_makes(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n")
    made = site.parts(KNOWN, SiteContent(settings=build_config.load(), documents=tmp_path))
    names = {name.partition("/")[0] for part in made.values() for name in part.make() if "/" in name}
    assert names - {"cu12", "cu12t4", "cpu"} == RESERVED
    assert not any(map(is_line_name, RESERVED))
