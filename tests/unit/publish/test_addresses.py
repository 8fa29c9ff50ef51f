"""A URL that a user gives is a folder's, or an error of the user; no input ends otherwise, and no password is shown."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tfwheel.errors import UsageError
from tfwheel.publish import addresses

GOOD = [
    "https://example.org/", "http://127.0.0.1:8000/index/", "http://[::1]:80/x/", "https://a-b.example/%2B+~/",
    "HTTPS://EXAMPLE.org./x/",
]  # fmt: skip
BAD = [
    "", "/", "example.org/", "https://example.org", "https://example.org/x", "ftp://example.org/",
    "javascript:alert(1)/",    "file:///etc/", "https:///x/", "https://a..b/", "https://-a/", "https://example.org:x/", "https://example.org:99999/",
    "https://example.org/?q=/", "https://example.org/#/", "https://example.org/?", "https://example.org/a b/",
    'https://example.org/"/', "https://example.org/<script>/", "https://example.org/`id`/", "https://example.org/%zz/",
    "https://example.org/\n/", "https://example.org/\0/", "http://[::1/", "https://ex\u0430mple.org/", "https://$(id)/",
    f"https://{'a' * 64}.org/", "https://me:secret@example.org/", "https://secret@example.org/",
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_the_url_of_a_folder_is_accepted(url: str) -> None:
    addresses.check_folder(url, option="--base-url")


@pytest.mark.parametrize("url", BAD)
def test_anything_else_is_an_error_of_the_command(url: str) -> None:
    with pytest.raises(UsageError, match="--base-url") as caught:
        addresses.check_folder(url, option="--base-url")
    assert "secret" not in str(caught.value)


PIECES = [*"htps:/.?#[]@%0aZ \0\n\\-é٣", "https://", "//", "::1"]


@seed(1)
@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_no_text_ends_otherwise(text: str) -> None:
    try:
        addresses.check_folder(text, option="--base-url")
    except UsageError:
        return
    parts = urlsplit(text)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    assert parts.path.endswith("/")
