"""Verify: real HTTP with redirects and ranges, real pip and uv, and the door."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import assethost
from publications import TAG, finish, publication
from tfwheel.errors import UsageError
from tfwheel.index import manifest
from tfwheel.index.errors import ManifestError
from tfwheel.publish import publish, verify
from tfwheel.publish.errors import HostAnswerError, VerifyError
from tfwheel.system.errors import CommandError, DownloadError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assethost import AssetHost
    from tfwheel.errors import FactoryError

DOOR = Path(__file__).parents[3] / "scripts" / "verify_index.py"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[AssetHost]:
    """A published index of two wheels."""
    root = tmp_path / "live"
    with assethost.running(root / "site", root / "assets") as running:
        wheels = [finish(tmp_path / "wheels", build) for build in (1, 2)]
        publish.publish(publication(root, wheels, assets=running.url("v1", ""), pages=running.pages))
        running.requests.clear()
        yield running


def test_assets_are_reached_through_the_redirect_and_read_by_range(host: AssetHost) -> None:
    verify.verify(host.pages)
    wheels = [request for request in host.requests if request.name.endswith(".whl")]
    assert {(request.method, request.status) for request in wheels} == {
        ("HEAD", 302),
        ("HEAD", 200),
        ("GET", 302),
        ("GET", 206),
    }


def test_every_client_installs_what_is_published(host: AssetHost) -> None:
    entries = verify.verify(host.pages)
    file = entries[0].file
    host.requests.clear()
    verify.install(host.pages, entries, file)
    downloads = [request for request in host.requests if request.path.endswith(file) and request.status == 200]
    assert len([request for request in downloads if request.method == "GET"]) == len(verify.CLIENTS)


@pytest.mark.parametrize("client", verify.CLIENTS)
def test_a_wheel_that_a_client_refuses_is_a_fault_in_the_clients_own_words(
    client: str, host: AssetHost, tmp_path: Path
) -> None:
    entries = verify.verify(host.pages)
    file = entries[0].file
    other = finish(tmp_path / "other", 1, body=b"evil = True\n")
    shutil.copyfile(other, host.assets / "v1" / file)
    with pytest.raises(VerifyError, match=r"(?is)/cu12/: .* does not install tensorflow==2\.20\.0\+cu125\.1.*hash"):
        verify.install(host.pages, entries, file, clients=[client])


def test_a_wheel_for_one_python_is_installed_with_that_one(host: AssetHost, tmp_path: Path) -> None:
    here = f"cp3{sys.version_info.minor}"
    wheel = finish(tmp_path / "wheels", 3, tag=TAG.replace("py3-none", f"{here}-{here}"))
    publish.publish(publication(host.site.parent, [wheel], assets=host.url("v1", ""), pages=host.pages))
    entries = verify.verify(host.pages)
    host.requests.clear()
    verify.install(host.pages, entries, wheel.name, clients=["uv"])
    assert f"/blob/v1/{wheel.name}" in host.paths()


def test_the_door_checks_from_outside(host: AssetHost) -> None:
    file = verify.verify(host.pages)[1].file
    host.requests.clear()
    said = run([sys.executable, DOOR, "--base-url", host.pages, "--new", file])
    assert "all pages are good; 2 wheels are listed" in said
    assert {path.rsplit("/", 1)[1] for path in host.paths("blob")} == {file, f"{file}.metadata"}
    said = [
        (404, VerifyError, f"{host.pages}cu12/tensorflow/: answers GET with status 404"),
        (401, VerifyError, "status 401"),
        (503, HostAnswerError, f"{host.pages}cu12/tensorflow/ answers GET with status 503"),
        (429, HostAnswerError, "status 429"),
    ]
    for status, error, words in said:
        host.faults["/pages/cu12/tensorflow/"] = status
        failed = refused("--base-url", host.pages, error=error)
        assert words in failed
        assert "again" in failed
        assert not re.search("restored|shown again|in place again|nothing was written", failed)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("--base-url", "http://127.0.0.1:9/"), DownloadError, "127.0.0.1"),
        (("--base-url", "http://127.0.0.1:9"), UsageError, "does not end with a slash"),
        (("--base-url", "example.org/"), UsageError, "does not begin with https://"),
        (("--base-url", "http:///x/"), UsageError, "name of a host"),
        (("--base-url", "https://me:secret@example.org/"), UsageError, "contains a name or password"),
        (("--base-url", "https://example.org/?x/"), UsageError, "has a query or a fragment"),
        (("--base-url", "http://[::1/"), UsageError, "is not a URL"),
        (("--base-url", "http://a..b/"), UsageError, "name of a host"),
        (("--base-url", "https://example.org/a b/"), UsageError, "characters that a URL cannot have"),
        (("--base-url", "https://example.org/", "--manifest", "nowhere"), UsageError, "nowhere cannot be read"),
        (("--offline", "nowhere"), UsageError, "nowhere is not a folder"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_what_the_door_cannot_check_is_said_as_what_it_is(words: tuple[str, ...], error: type, said: str) -> None:
    failed = refused(*words, error=error)
    assert said in failed.replace("\n", " ")
    assert "secret" not in failed
    assert "pip" not in failed  # which has no part in it


def test_a_file_that_the_index_does_not_list_is_not_passed_over(host: AssetHost) -> None:
    assert "does not list typo.whl" in refused("--base-url", host.pages, "--new", "typo.whl", error=VerifyError)


def refused(*words: object, error: type[FactoryError]) -> str:
    """What the door says when it fails with this error."""
    with pytest.raises(CommandError) as caught:
        run([sys.executable, DOOR, *map(str, words)])
    assert f"({error.__name__}, exit code {error.exit_code})" in caught.value.output
    assert caught.value.returncode == error.exit_code
    return caught.value.output


def test_the_door_checks_a_downloaded_copy_offline(host: AssetHost, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(host.site, copy)
    said = run([sys.executable, DOOR, "--offline", copy])
    assert "files are as listed" in said
    assert f"gh attestation verify {manifest.NAME}" in said
    page = copy / "cu12" / "tensorflow" / "index.html"
    page.write_text(page.read_text().replace("2.20.0", "2.20.1"))
    with pytest.raises(CommandError) as caught:
        run([sys.executable, DOOR, "--offline", copy])
    assert caught.value.returncode == ManifestError.exit_code
    assert "cu12/tensorflow/index.html has sha256" in caught.value.output
