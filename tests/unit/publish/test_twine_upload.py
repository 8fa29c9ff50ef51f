"""Which addresses a password may be sent to, and what twine's words mean."""

from __future__ import annotations

from pathlib import Path

import pytest

import pagedata
from tfwheel.errors import PublishError
from tfwheel.index.errors import NameTakenError, WheelMissingError
from tfwheel.publish import twine_upload
from tfwheel.publish.errors import CredentialsRefusedError, UploadAddressError
from tfwheel.system import web
from tfwheel.system.errors import CommandError
from tfwheel.system.web import Answer

WHEEL, LOG = Path("tensorflow-2.20.0+cu125.1-py3-none-any.whl"), Path("upload.log")


@pytest.mark.parametrize(
    "url",
    ["https://pypi.example.org/packages/", "http://127.0.0.1:8080/", "http://localhost/", "http://[::1]:1/simple/"],
)
def test_a_password_may_go_over_https_or_stay_on_this_machine(url: str) -> None:
    twine_upload.check_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://pypi.example.org/",
        "http://127.0.0.1.example.org/",
        "http://localhost.example.org/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///index",
        "pypi.example.org",
        "https://",
        "https://[::1",
        "",
    ],
)
def test_a_password_goes_nowhere_else(url: str) -> None:
    with pytest.raises(UploadAddressError):
        twine_upload.upload([WHEEL], address=url, log=LOG)
    with pytest.raises(UploadAddressError):
        twine_upload.upload([WHEEL], address="https://example.org/", pages=url or "x", log=LOG)


@pytest.mark.parametrize(
    "url", ["https://me:s3cr3t@example.org/", "https://s3cr3t@example.org/", "http://a:s3cr3t@[::1]/"]
)
def test_an_address_with_a_password_in_it_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UploadAddressError, match="contains a name or password") as caught:
        twine_upload.check_address(url)
    assert "s3cr3t" not in str(caught.value)
    assert "history" in caught.value.remedy


def test_no_wheels_are_nothing_to_upload() -> None:
    with pytest.raises(WheelMissingError):
        twine_upload.upload([], address="https://example.org/", log=LOG)


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_an_index_that_hides_its_pages_is_taken_to_be_without_the_wheel_unless_it_refuses_the_account(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    def ask(url: str, *, headers: dict[str, str], only: int) -> Answer:
        assert (url, only) == ("https://x/simple/tfwheel-ops/", 200)
        assert headers["Authorization"] == "Basic bWU6cGFzcw=="
        return Answer(url=url, status=status, headers={}, body=b"")

    monkeypatch.setattr(web, "ask", ask)
    account = twine_upload.Account(name="me", password="pass")  # noqa: S106 -- made up
    entry = pagedata.entry("2.20.0+cu125.1", "312", "cu12", project="tfwheel_ops")
    if status == 401:
        with pytest.raises(CredentialsRefusedError, match="simple/tfwheel-ops/ answers 401"):
            twine_upload.is_there(WHEEL, entry, "https://x/simple/", account)
        return
    assert not twine_upload.is_there(WHEEL, entry, "https://x/simple/", account)
    assert (f"answers {status}; uploading without checking" in capsys.readouterr().err) is (status != 404)


@pytest.mark.parametrize(
    ("output", "kind", "words"),
    [
        ("ERROR    HTTPError: 401 Unauthorized from https://x/\n", CredentialsRefusedError, "answers 401"),
        ("ERROR    HTTPError: 403 Forbidden from https://x/\n", CredentialsRefusedError, "answers 403"),
        ("ERROR    HTTPError: 409 Conflict from https://x/\n", NameTakenError, "which its pages do not show"),
        ("ERROR    HTTPError: 413 Payload Too Large from https://x/\nToo Large", PublishError, "413 Payload Too Large"),
        ("ERROR    HTTPError: 500 Oops from https://x/\nOops\n", PublishError, "500 Oops from https://x/ (log"),
        ("RedirectDetected: https://x attempted to redirect\nmore\n", PublishError, "attempted to redirect (log"),
        ("something\nthe end\n\n", PublishError, "the end (log: upload.log)"),
        ("", PublishError, "did not start"),
    ],
)
def test_twines_words_get_their_name(output: str, kind: type[Exception], words: str) -> None:
    error = twine_upload._failure(WHEEL, "https://x/", CommandError("did not start", output=output), LOG)
    assert type(error) is kind
    assert words in str(error)
