"""Addresses of git repositories: none that git would read as an option, and no message repeats a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.config import field_types, toml_files
from tfwheel.config.errors import ConfigError
from tfwheel.config.schema import Table
from tfwheel.system import urls

if TYPE_CHECKING:
    from pathlib import Path


class Place(Table):
    """A file with one address."""

    git: field_types.GitUrl


def refused(tmp_path: Path, url: str) -> str:
    path = tmp_path / "place.toml"
    path.write_text(f'git = "{url}"\n')
    with pytest.raises(ConfigError, match="must be the address of a git repository") as caught:
        toml_files.read(path, Place)
    return caught.value.message


@pytest.mark.parametrize(
    "url", ["ssh://-oProxyCommand=x/y", "ssh://git@-x/y", "https://-x/y", "git@-oProxyCommand=x:y", "host:-x", "-h:x"]
)
def test_no_part_that_a_program_would_take_for_an_option_is_taken(tmp_path: Path, url: str) -> None:
    refused(tmp_path, url)


@pytest.mark.parametrize(
    "url",
    [
        "me:secret@example.org:owner/name",
        "https://example.org/x?token=secret",
        "https://example.org/x#secret",
        "https://example.org/x?token=a@secret",
        "https://me:secret?more@example.org/x",
        "https://me:se@cret@example.org/x",
        f"https://me:secret@example.org/{'x' * 400}",
        "ssh://me:secret@example.org/x",
    ],
)
def test_the_message_repeats_no_secret(tmp_path: Path, url: str) -> None:
    message = refused(tmp_path, url)
    assert "secret" not in message
    assert "cret@" not in message
    assert "***" in message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("../theirs", "../theirs"),
        ("https://example.org/x y", "https://example.org/x y"),
        ("me:secret@host:x", "***@host:x"),
        ("https://a:b@h/x?c", "https://***@h/x?***"),
        ("https://a?b@h/x", "https://***"),
        ("https://h/x#", "https://h/x#"),
    ],
)
def test_what_may_be_secret_of_an_address_is_masked(text: str, shown: str) -> None:
    assert urls.masked_address(text) == shown
