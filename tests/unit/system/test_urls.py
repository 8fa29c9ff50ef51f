"""URLs: which may be published, and that none is shown with its password."""

from __future__ import annotations

import pytest

from tfwheel.config.schema import IndexSettings
from tfwheel.system import console, urls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:password@h/x: 404", "https://***@h/x: 404"),
        ("http://token@h", "http://***@h"),
        ("https://a:b@c@h/ and ftp://d@i/", "https://***@h/ and ftp://***@i/"),
        ("https://h/x@1.2", "https://h/x@1.2"),
        ("no URL: me@h", "no URL: me@h"),
        (f"docker://ubuntu@sha256:{'ab' * 32}: x", f"docker://ubuntu@sha256:{'ab' * 32}: x"),
        ("https://me:secret@sha256:443/", "https://***@sha256:443/"),
    ],
)
def test_no_text_shows_the_password_of_a_url(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert urls.masked(text) == shown
    console.say(text)
    console.warn(text)
    assert capsys.readouterr().err == f"{shown}\nwarning: {shown}\n"


@pytest.mark.parametrize("url", ["", "https://example.org/", "http://127.0.0.1:8000/a/b%20c/", "http://[::1]/"])
def test_a_plain_address_of_the_site_is_taken(url: str) -> None:
    assert IndexSettings(base_url=url).base_url == url


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://h",
            "https://h/a",
            "https://user:password@h/",
            "https://h/$(id)/",
            "https://h/`id`/",
            "https://h/a b/",
        ),
        *(
            'https://h/"/',
            "https://h/';id;/",
            "javascript:alert(1)/",
            "file:///etc/",
            "//h/",
            "https://h/?a/",
            "https://h/#/",
        ),
        *("https://h/../", "https://h/%2e%2e/", "https://h:99999999/", "https://-h/", "https://h/\n/", "https:///"),
    ],
)
def test_any_other_address_of_the_site_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="plain URL"):
        IndexSettings(base_url=url)
