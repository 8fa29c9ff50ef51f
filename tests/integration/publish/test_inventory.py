"""Inventory: a local server that speaks the GitHub Releases API, in good days and bad."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fakewheels
import githubapi
from ledgers import entry
from tfwheel.index import ledger
from tfwheel.publish import github_api, inventory
from tfwheel.publish.errors import HostAnswerError, InventoryError
from tfwheel.publish.github_api import GithubApi
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel.errors import IndexEntryError
from tfwheel.wheel.metadata import metadata_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from githubapi import GitHub, Reply
    from tfwheel.index.ledger_entry import LedgerEntry

DOOR = Path(__file__).parents[3] / "scripts" / "verify_index.py"
TOKEN = "ghp_very_secret"  # noqa: S105 -- of a server that knows no tokens
TAG = "cp312-cp312-manylinux_2_17_x86_64"
FILE = f"tensorflow-2.20.0+cu125.1-{TAG}.whl"
PAGE = r"/releases\?"
ASSETS = "/assets"


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds were waited each time; in truth that takes none."""
    found: list[float] = []
    monkeypatch.setattr(github_api.time, "sleep", found.append)
    return found


@pytest.fixture
def github() -> Iterator[GitHub]:
    """An empty host."""
    with githubapi.running() as host:
        yield host


def host_of(github: GitHub, cache: Path | None = None) -> GithubApi:
    """How the inventory reaches it."""
    return GithubApi(api=github.address, repo=githubapi.REPO, token=TOKEN, cache=cache)


def metadata(version: str = "2.20.0+cu125.1", name: str = "tensorflow") -> bytes:
    """The METADATA of a wheel."""
    return fakewheels.METADATA.format(name=name, version=version, extra="").encode()


def put(github: GitHub, release: dict[str, Any], version: str = "2.20.0+cu125.1", **facts: Any) -> dict[str, Any]:  # noqa: ANN401 -- any field of the API's
    """Upload a wheel with its sidecar; returns the wheel's asset."""
    name = f"tensorflow-{version}-{TAG}.whl"
    asset = github.upload(release, name, f"the wheel {version}".encode(), **facts)
    github.upload(release, f"{name}.metadata", metadata(version))
    return asset


def entry_of(asset: dict[str, Any], version: str) -> LedgerEntry:
    """What the ledger says about an asset."""
    digest = hashlib.sha256(metadata(version)).hexdigest()
    facts = {"version": version, "file": asset["name"], "size": asset["size"], "metadata_sha256": digest}
    return entry(url=asset["browser_download_url"], sha256=asset["digest"].removeprefix("sha256:"), **facts)


# --- good days -------------------------------------------------------------------------------------------


def test_every_wheel_of_every_published_release_is_found_with_its_facts(github: GitHub, tmp_path: Path) -> None:
    wheel = fakewheels.write_wheel(tmp_path, {}, name="tensorflow", version="2.20.0+cu125.1", tag=TAG)
    first = github.release("v1")
    github.upload(first, wheel.name, wheel.read_bytes())
    github.upload(first, f"{wheel.name}.metadata", metadata_of(wheel))
    github.upload(first, "SHA256SUMS")
    put(github, github.release("v2", immutable=False, prerelease=True), "2.20.0+cu125.2")
    put(github, github.release("v3", draft=True), "2.20.0+cu125.3")
    one, two = inventory.published(host_of(github))
    assert (one.file, one.tag, one.immutable, one.size) == (FILE, "v1", True, wheel.stat().st_size)
    assert one.url == f"{github.address}/someone/wheels/releases/download/v1/{FILE.replace('+', '%2B')}"
    assert one.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert one.metadata_sha256 == hashlib.sha256(metadata_of(wheel)).hexdigest()
    assert (one.project, one.version, one.requires_python) == ("tensorflow", "2.20.0+cu125.1", ">=3.9")
    assert (two.version, two.tag, two.immutable) == ("2.20.0+cu125.2", "v2", False)


def test_all_pages_are_read(github: GitHub) -> None:
    for number in range(205):
        github.release(f"empty{number}")
    release = github.release("v1")
    for number in range(120):
        put(github, release, f"2.20.0+cu125.{number}")
    assert len(inventory.published(host_of(github))) == 120
    assert sum("/releases?" in path for path in github.asked) == 3
    assert sum(f"/releases/{release['id']}/assets" in path for path in github.asked) == 3


def test_exactly_one_full_page_is_no_fault(github: GitHub) -> None:
    release = github.release("v1")
    for number in range(50):
        put(github, release, f"2.20.0+cu125.{number}")
    assert len(inventory.published(host_of(github))) == 50


def test_a_second_look_costs_nothing_and_reads_no_sidecar_that_the_ledger_knows(github: GitHub, tmp_path: Path) -> None:
    asset = put(github, github.release("v1"))
    host, known = host_of(github, tmp_path), [entry_of(asset, "2.20.0+cu125.1")]
    first = inventory.published(host)
    github.statuses.clear()
    assert inventory.published(host, known=known) == first
    assert github.statuses == [304, 304]
    put(github, github.releases[0], "2.20.0+cu125.2")
    github.statuses.clear()
    github.asked.clear()
    assert len(inventory.published(host, known=known)) == 2
    assert [path for path in github.asked if path.startswith("/blob")] == [
        f"/blob/someone/wheels/releases/download/v1/tensorflow-2.20.0%2Bcu125.2-{TAG}.whl.metadata"
    ]
    assert inventory.compare(known, inventory.published(host)) == inventory.published(host)[1:]


def test_a_damaged_cache_is_only_slower(github: GitHub, tmp_path: Path) -> None:
    put(github, github.release("v1"))
    first = inventory.published(host_of(github, tmp_path))
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:9])
    assert inventory.published(host_of(github, tmp_path)) == first


def test_the_token_goes_to_the_api_only_and_is_never_shown(
    github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(github, github.release("v1"))
    github.fault(PAGE, githubapi.server_error)
    github.fault(PAGE, githubapi.forbidden)
    host = host_of(github, tmp_path)
    with pytest.raises(HostAnswerError) as failure:
        inventory.published(host)
    inventory.published(host)
    for path, token in zip(github.asked, github.tokens, strict=True):
        assert token == (f"Bearer {TOKEN}" if path.startswith("/repos/") else None)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode(errors="replace")
    assert TOKEN not in f"{failure.value}{host}{kept}{capsys.readouterr()}"


# --- bad days --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [githubapi.server_error, githubapi.cut])
def test_a_passing_fault_is_waited_out(github: GitHub, waited: list[float], fault: Callable[[Reply], None]) -> None:
    put(github, github.release("v1"))
    for pattern in (PAGE, ASSETS, "/blob/"):
        github.fault(pattern, fault, times=2)
    assert len(inventory.published(host_of(github))) == 1
    assert pytest.approx([1, 2, 1, 2, 1, 2]) == waited


@pytest.mark.parametrize(
    ("fault", "least"), [(githubapi.retry_after(7), 7), (githubapi.retry_after(0), 0), (githubapi.limited(30), 29)]
)
def test_a_rate_limit_is_waited_for_as_long_as_the_host_says(
    github: GitHub, waited: list[float], fault: Callable[[Reply], None], least: float
) -> None:
    put(github, github.release("v1"))
    github.fault(PAGE, fault)
    assert len(inventory.published(host_of(github))) == 1
    assert len(waited) == 1
    assert least <= waited[0] <= least + 3


@pytest.mark.parametrize(
    ("pattern", "fault", "times", "said"),
    [
        (PAGE, githubapi.server_error, 5, "answered 502"),
        (ASSETS, githubapi.server_error, 5, "answered 502"),
        (PAGE, githubapi.cut, 5, "releases"),
        (PAGE, githubapi.limited(4000), 1, "its rate limit ends in (4000|4001) s"),
        (PAGE, githubapi.forbidden, 1, "answered 401.*Bad credentials"),
        (PAGE, githubapi.html_with_200, 1, "unexpected response instead of a list.*DOCTYPE"),
        (ASSETS, githubapi.html_with_200, 1, "unexpected response instead of a list"),
        (ASSETS, githubapi.shortened, 1, "lacks 1 that the release has"),
        (ASSETS, githubapi.emptied, 1, "lacks 2 that the release has"),
        (PAGE, githubapi.linked_elsewhere, 1, "its next page is on another host"),
    ],
)
def test_an_answer_that_cannot_be_trusted_ends_it(
    github: GitHub, pattern: str, fault: Callable[[Reply], None], times: int, said: str
) -> None:
    put(github, github.release("v1"))
    github.fault(pattern, fault, times=times)
    with pytest.raises(HostAnswerError, match=said):
        inventory.published(host_of(github))
    assert "localhost:1" not in " ".join(github.asked)


@pytest.mark.parametrize(("pattern", "fault"), [(PAGE, githubapi.shortened), (r"page=2", githubapi.emptied)])
def test_a_truncated_page_is_found(github: GitHub, pattern: str, fault: Callable[[Reply], None]) -> None:
    for number in range(120):
        github.release(f"v{number}")
    github.fault(pattern, fault)
    with pytest.raises(HostAnswerError, match="the page is cut short"):
        inventory.published(host_of(github))


def test_a_list_that_changes_while_it_is_read_is_found(github: GitHub) -> None:
    for number in range(150):
        github.release(f"v{number}")
    github.fault(PAGE, lambda _: github.release("new") and None)
    with pytest.raises(HostAnswerError, match="changed while it was read"):
        inventory.published(host_of(github))


def test_a_repository_that_is_not_there_is_said(github: GitHub) -> None:
    with pytest.raises(HostAnswerError, match="answered 404"):
        inventory.published(GithubApi(api=github.address, repo="some/other"))


def test_a_host_out_of_reach_is_said() -> None:
    with githubapi.running() as github:
        host = host_of(github)
    with pytest.raises(HostAnswerError, match=r"127\.0\.0\.1"):
        inventory.published(host)


# --- assets that stop the build --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"digest": None}, "it has no sha256"),
        ({"digest": "md5:00"}, "it has no sha256"),
        ({"state": "starter"}, "its upload was not finished"),
        ({"browser_download_url": "https://example.org/other.whl"}, "another name, `other.whl`"),
        ({"browser_download_url": f"https://example.org/elsewhere/{FILE}"}, "its sidecar is not at its URL"),
    ],
)
def test_a_wheel_that_cannot_be_trusted_is_named(github: GitHub, facts: dict[str, Any], said: str) -> None:
    put(github, github.release("v1"), **facts)
    with pytest.raises(InventoryError, match=said) as failure:
        inventory.published(host_of(github))
    assert f"release v1, asset {FILE}" in failure.value.message


@pytest.mark.parametrize("size", [2 << 30, 0])
def test_a_wheel_of_two_gib_is_refused(github: GitHub, size: int) -> None:
    put(github, github.release("v1"), size=size)
    with pytest.raises(IndexEntryError, match="fewer than"):
        inventory.published(host_of(github))


def test_a_wheel_without_a_sidecar_is_named(github: GitHub) -> None:
    github.upload(github.release("v1"), FILE)
    with pytest.raises(InventoryError, match="it has no sidecar") as failure:
        inventory.published(host_of(github))
    assert FILE in failure.value.message


def test_a_sidecar_without_its_wheel_is_named(github: GitHub) -> None:
    github.upload(github.release("v1"), f"{FILE}.metadata", metadata())
    with pytest.raises(InventoryError, match="it is a sidecar without a wheel") as failure:
        inventory.published(host_of(github))
    assert f"{FILE}.metadata" in failure.value.message


@pytest.mark.parametrize("digest", [None, "sha256:" + "0" * 64])
def test_a_sidecar_without_a_right_digest_is_named(github: GitHub, digest: str | None) -> None:
    release = github.release("v1")
    github.upload(release, FILE)
    github.upload(release, f"{FILE}.metadata", metadata(), digest=digest)
    with pytest.raises(InventoryError, match=r"\.whl\.metadata: (it has no sha256|its URL does not return)"):
        inventory.published(host_of(github))


def test_an_error_page_instead_of_a_sidecar_is_found(github: GitHub) -> None:
    put(github, github.release("v1"))
    github.fault("/blob/", githubapi.html_with_200)
    with pytest.raises(InventoryError, match=r"its URL does not return the stored bytes but b'<!DOCTYPE"):
        inventory.published(host_of(github))


@pytest.mark.parametrize("data", [b"", b"\0\1", metadata("2.20.0"), metadata(name="keras")])
def test_a_sidecar_for_something_else_is_refused(github: GitHub, data: bytes) -> None:
    release = github.release("v1")
    github.upload(release, FILE)
    github.upload(release, f"{FILE}.metadata", data)
    with pytest.raises(IndexEntryError, match="METADATA"):
        inventory.published(host_of(github))


def test_a_wheel_that_the_host_renamed_is_refused(github: GitHub) -> None:
    put(github, github.release("v1"), "1!2.20.0")
    assert github.releases[0]["assets"][0]["name"] == f"tensorflow-1.2.20.0-{TAG}.whl"
    with pytest.raises(IndexEntryError, match=r"METADATA is for 'tensorflow' '1!2\.20\.0'"):
        inventory.published(host_of(github))


def test_one_file_in_two_releases_is_refused(github: GitHub) -> None:
    put(github, github.release("v1"))
    put(github, github.release("v2"))
    with pytest.raises(InventoryError, match="in two releases, v2 and v1"):
        inventory.published(host_of(github))


def test_more_assets_than_github_takes_are_refused(github: GitHub) -> None:
    release = github.release("v1")
    for number in range(1001):
        github.upload(release, f"file{number}.txt")
    with pytest.raises(InventoryError, match="has 1001 assets"):
        inventory.published(host_of(github))


def test_the_door_says_what_the_ledger_lacks_and_stops_where_they_differ(github: GitHub, tmp_path: Path) -> None:
    asset = put(github, github.release("v1"))
    put(github, github.releases[0], "2.20.0+cu125.2")
    path = tmp_path / "ledger.jsonl"
    argv = [sys.executable, DOOR, "--releases", githubapi.REPO, "--api", github.address, "--ledger", path]
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "GITHUB_TOKEN": TOKEN}
    ledger.write(path, [entry_of(asset, "2.20.0+cu125.1")])
    said = run(argv, env=environment)
    assert f"tensorflow-2.20.0+cu125.2-{TAG}.whl of release v1 is not in the ledger" in said
    assert "2 wheels" in said
    ledger.append(path, [entry(7)])
    with pytest.raises(CommandError, match="it is in no release") as failure:
        run(argv, env=environment)
    assert failure.value.returncode == InventoryError.exit_code
    assert TOKEN not in f"{said}{failure.value}"
