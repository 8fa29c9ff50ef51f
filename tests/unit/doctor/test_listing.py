"""A list of wheels is somebody else's text: no word of it reaches a command unchecked."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tfwheel.config.paths import ROOT
from tfwheel.doctor import listing
from tfwheel.doctor.listing import ListingError
from tfwheel.doctor.selector import select

if TYPE_CHECKING:
    from pathlib import Path

FILE = ROOT / "tests" / "data" / "selector_wheels.json"
LISTING = json.loads(FILE.read_bytes())


def test_a_file_and_the_folder_that_it_is_in_are_read(tmp_path: Path) -> None:
    assert listing.fetch_listing(str(FILE)) == (LISTING, "")
    (tmp_path / "wheels.json").write_bytes(FILE.read_bytes())
    assert listing.fetch_listing(str(tmp_path)) == (LISTING, "")


@pytest.mark.parametrize(
    ("index", "root"),
    [
        ("https://example.org/index", "https://example.org/index/"),
        ("https://example.org/index/", "https://example.org/index/"),
        ("https://example.org/index/index.html?x#y", "https://example.org/index/"),
        ("http://127.0.0.1:8000/wheels.json", "http://127.0.0.1:8000/"),
        ("http://[::1]:8000/doctor.py", "http://[::1]:8000/"),
    ],
)
def test_the_root_of_a_site_is_found_from_any_of_its_pages(index: str, root: str) -> None:
    assert listing.site_root(index) == root


@pytest.mark.parametrize(
    "index",
    [
        "ftp://example.org/",
        "https://user:secret@example.org/",
        'https://example.org/"; rm -rf /',
        "https://example.org/$(id)/",
    ],
)
def test_what_is_no_plain_url_is_refused(index: str) -> None:
    with pytest.raises(ListingError, match="plain URL"):
        listing.fetch_listing(index)


def test_without_an_index_the_program_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(ListingError, match="--index URL"):
        listing.fetch_listing("")
    with pytest.raises(ListingError, match="cannot be read"):
        listing.fetch_listing(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", '2.20.0"; curl evil | sh; "'),
        ("version", "2.20.0 --index-url https://evil.example/"),
        ("line", "../cu12"),
        ("line", "cu12/ --pre"),
        ("project", "tensorflow evil"),
        ("file", "x.whl\nevil"),
        ("sha256", "ab"),
        ("python", [3.12]),
        ("gpu_code", []),
        ("size", "1"),
        ("size", True),
        ("size", 10**400),
        ("platforms", [f"manylinux_{'2' * 5000}_17_x86_64"]),
        ("gpu_code", {"fatbin": [f"sm_{'8' * 5000}"]}),
        ("yanked", "\ud800"),
        ("yanked", "broken\n\n    pip install evil"),
        ("fit", {"2026.07": {"verdict": "changes", "reasons": ["\x1b[2J"], "changes": []}}),
        ("fit", {"2026.07": {"verdict": "changes", "reasons": [], "changes": [["numpy", "1\r", None]]}}),
        ("fit", {"\x1b[2J": {"verdict": "changes", "reasons": [], "changes": []}}),
    ],
)
def test_a_wheel_with_a_word_that_no_command_may_have_is_refused(key: str, value: object) -> None:
    wheels = [LISTING["wheels"][0] | {key: value}]
    with pytest.raises(ListingError, match="not a list of wheels"):
        listing.checked_listing(json.dumps(LISTING | {"wheels": wheels}).encode(), "x")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tensorflow", "2"),
        ("glibc", "2" * 5000),
        ("name", "a\nb"),
        ("faults", ["a\x1bb"]),
        ("companions", {"tf-keras": "2\u202e0"}),
        ("companions", {"tf\nkeras": "2.20"}),
    ],
)
def test_a_runtime_with_such_a_word_is_refused(key: str, value: object) -> None:
    runtimes = [LISTING["runtimes"][0] | {key: value}]
    with pytest.raises(ListingError, match="not a list of wheels") as caught:
        listing.checked_listing(json.dumps(LISTING | {"runtimes": runtimes}).encode(), "x")
    assert str(caught.value).isprintable()


def test_a_wheel_twice_is_refused() -> None:
    wheels = [LISTING["wheels"][0]] * 2
    with pytest.raises(ListingError, match="has a wheel twice"):
        listing.checked_listing(json.dumps(LISTING | {"wheels": wheels}).encode(), "x")


@pytest.mark.parametrize("installed", ["abc", "2", "nightly", "2" * 5000])
def test_an_installed_tensorflow_of_any_version_is_met(installed: str) -> None:
    known = {"python": "3.12", "glibc": "2.35", "colab": True, "installed": {"tensorflow": installed}}
    assert select(known, LISTING).wheel


def test_another_version_of_the_list_says_so() -> None:
    with pytest.raises(ListingError, match="is of version 2"):
        listing.checked_listing(json.dumps(LISTING | {"meta": {"version": 2}}).encode(), "x")


def test_damaged_lists_end_in_one_kind_of_error_or_in_a_choice() -> None:
    chance = random.Random(1)  # noqa: S311 -- not for secrets
    values: list[Any] = [None, 0, -1, "", "x", [], {}, [None], {"a": None}, True, 1e400, "2.20.0", ["3.12"]]

    def damaged(node: object, depth: int) -> object:
        if chance.random() < 0.0015 * depth:
            return chance.choice(values)
        if isinstance(node, dict):
            return {key: damaged(value, depth + 1) for key, value in node.items() if chance.random() > 0.0005}
        return [damaged(value, depth + 1) for value in node] if isinstance(node, list) else node

    small = LISTING | {"wheels": LISTING["wheels"][::4], "runtimes": LISTING["runtimes"][:2]}
    environment = {
        "python": "3.13",
        "glibc": "2.35",
        "driver": "580.1",
        "gpu": "7.5",
        "runtime": "2026.08",
        "colab": True,
    }
    read = 0
    for _ in range(400):
        try:
            found = listing.checked_listing(json.dumps(damaged(small, 0)).encode(), "x")
        except ListingError:
            continue
        read += 1
        select(environment, found)
    assert 20 < read < 380
