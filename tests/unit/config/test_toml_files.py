"""A file of the configuration is read, or refused in words, whatever is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smallconfig import load, refusal
from tfwheel.config import build_config, toml_files
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["targets", "lines", "repair"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    assert refusal(tmp_path, **{name: None}) == f"{name}.toml is missing"


def test_what_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, repair='ceiling = "manylinux').startswith("repair.toml is not TOML: ")
    assert "line 1" in refusal(tmp_path, repair="ceiling = manylinux")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "repair.toml").write_bytes(b"ceiling = '\xff'")
    with pytest.raises(ConfigError, match=r"repair.toml is not UTF-8 text: byte 11 is 0xff"):
        build_config.load(tmp_path)


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("cu21", ["cu12", "cpu"], "did you mean `cu12`?"),
        ("zebra", ["cu12", "cpu"], "known: cpu, cu12"),
        ("zebra", [], "known: none"),
    ],
)
def test_a_misspelt_word_gets_a_hint(word: str, known: list[str], hint: str) -> None:
    assert toml_files.nearest(word, known) == hint
