"""A file of the configuration is read, or refused in words, whatever is in it."""

from __future__ import annotations

import random
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from smallconfig import BASES, FILES, REPAIR, load, refusal, swap  # load, refusal
from tfwheel.colab import runtimes
from tfwheel.config import build_config, ci_settings, gpu_support, plan, tables, toml_files
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.errors import FactoryError

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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"max_bytes = {'9' * 5000}", "repair.toml is not TOML: Exceeds the limit"),
        (swap(REPAIR, "1_900_000_000", f"0x{'f' * 5000}"), "`max_bytes` is a number of 20000 bits; TOML has 64"),
        (swap(REPAIR, "1_900_000_000", "9223372036854775808"), "`max_bytes` is a number of 64 bits"),
        ("exclude = " + "[" * 100_000, "nested too deeply"),
        ("exclude = " + "[" * 200 + "]" * 200, "`exclude[0]`: input should be a valid string (got [[[[[["),
        (swap(REPAIR, "libcuda*", "lib\\u0000cuda*"), r"`exclude[0]` has a control character, '\x00'"),
        (swap(REPAIR, "libcuda*", "lib\\u001b[31mcuda"), r"`exclude[0]` has a control character, '\x1b'"),
        (REPAIR + '"a\\u001b" = 1\n', r"the key 'a\x1b' has a control character"),
        (REPAIR + "a = 1\n" + "a = 2\n", "repair.toml is not TOML: Cannot overwrite"),
        ("\ufeff" + REPAIR, "repair.toml is not TOML"),
        (swap(REPAIR, '"manylinux_2_35_x86_64"', f'"{"x" * 10_000}"'), "`ceiling`: must be a manylinux policy"),
    ],
)
def test_what_no_reader_should_have_to_survive_is_refused(tmp_path: Path, text: str, words: str) -> None:
    said = refusal(tmp_path, repair=text)
    assert words in said
    assert len(said) < 600
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["repair", "targets", "bases", "index"])
def test_a_folder_where_a_file_should_be_is_named(tmp_path: Path, name: str) -> None:
    load(tmp_path)
    (tmp_path / f"{name}.toml").unlink(missing_ok=True)
    (tmp_path / f"{name}.toml").mkdir()
    with pytest.raises(ConfigError, match=rf"{name}\.toml cannot be read: Is a directory"):
        build_config.load(tmp_path)


def test_a_link_that_leads_to_itself_is_named(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "repair.toml").unlink()
    (tmp_path / "repair.toml").symlink_to(tmp_path / "repair.toml")
    with pytest.raises(ConfigError, match=r"repair\.toml cannot be read: Too many levels"):
        build_config.load(tmp_path)


def test_an_unquoted_number_is_told_as_it_was_written(tmp_path: Path) -> None:
    for written in ("3.10", "3.1_0", "31.0e-1", "inf"):
        text = swap(FILES["targets.toml"], '"3.11"', written)
        assert f'`release[0].pythons[0]` must be quoted: write "{written}"' in refusal(tmp_path, targets=text)


NAMES = ["targets", "lines", "index", "repair", "runners", "subsets", "gpus", "xla/2.20.0", "colab/runtimes"]
SHIPPED = {f"{name}.toml": (CONFIG_DIR / f"{name}.toml").read_text(encoding="utf-8") for name in NAMES}
SHIPPED["bases.toml"] = BASES
COMMENT = re.compile(r"(?m)^#.*\n|  +#.*")
PIECES = ["", "0", "-1", '"', "'", "\n", "[", "]", "{", "}", "=", "#", "\\", "..", "/", "\\u0000", "\u0660", "true"]
PIECES += ["1.50", "9" * 30, "inf", "2020-01-01", "[[release]]", "[cu12]", "x = 1", '"" = 1', '"../../x"', "''" * 3]


def mutant(text: str, chosen: random.Random) -> str:
    """A text in which a piece of one line is another one; comments are left out."""
    lines = COMMENT.sub("", text).splitlines(keepends=True)
    at = chosen.randrange(len(lines))
    spot = chosen.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:spot] + chosen.choice(PIECES) + lines[at][spot + chosen.randint(0, 12) :]
    return "".join(lines)


def read_all(folder: Path) -> None:
    """Read the whole configuration, as the doors do."""
    settings = build_config.load(folder)
    plan.targets(settings)
    tables.text(settings, kind="table")
    ci_settings.load(folder)
    gpu_support.load(folder)
    runtimes.load(folder / "colab")


def test_no_mutated_file_ends_in_another_exception(tmp_path: Path) -> None:
    """Each mutant of the shipped files is read, with all its targets, or refused in words."""
    chosen = random.Random(12)  # noqa: S311 -- the same mutants each time
    shutil.copytree(CONFIG_DIR / "xla", tmp_path / "xla")
    (tmp_path / "colab").mkdir()
    for given in (CONFIG_DIR / "colab").glob("*.txt"):
        text = "tensorflow==2.20.0\n" if given.name.startswith("pip-") else given.read_text(encoding="utf-8")
        (tmp_path / "colab" / given.name).write_text(text, encoding="utf-8")
    for name, text in SHIPPED.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    read_all(tmp_path)
    refused = 0
    for _ in range(250):
        name = chosen.choice([*SHIPPED, "targets.toml", "lines.toml"])
        (tmp_path / name).write_text(mutant(SHIPPED[name], chosen), encoding="utf-8")
        try:
            read_all(tmp_path)
        except FactoryError:
            refused += 1
        (tmp_path / name).write_text(SHIPPED[name], encoding="utf-8")
    assert 100 < refused < 245
