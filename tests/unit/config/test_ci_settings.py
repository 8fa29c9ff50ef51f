"""runners.toml and subsets.toml: read whole, and every mistake named with file, place and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.config import ci_settings
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

RUNNERS = """
[[runner]]
name = "hosted"
runs_on = ["ubuntu-24.04"]
gpu = false
hosted = true
timeout = 90
cost = "free"
source = "https://example.org/prices"
"""
SUBSETS = """
build_inputs = ["scripts/"]
[event.pull_request]
select = ["corners"]
labels = "add"
[event.push]
select = ["default"]
[event.schedule]
select = ["all"]
[event.workflow_dispatch]
[event.release]
"""


def load(folder: Path, *, runners: str = RUNNERS, subsets: str = SUBSETS) -> ci_settings.CiSettings:
    (folder / "runners.toml").write_text(runners)
    (folder / "subsets.toml").write_text(subsets)
    return ci_settings.load(folder)


def test_everything_is_read(tmp_path: Path) -> None:
    read = load(tmp_path)
    (runner,) = read.runners
    assert (runner.runs_on, runner.gpu, runner.hosted, runner.timeout) == (["ubuntu-24.04"], False, True, 90)
    assert (runner.cost, runner.source) == ("free", "https://example.org/prices")
    assert read.subsets["pull_request"].labels == "add"
    assert (read.subsets["release"].select, read.subsets["release"].labels) == ([], "refuse")
    assert (read.build_inputs, read.directory) == (("scripts/",), tmp_path)


def test_this_repository_builds_on_a_free_machine_and_has_no_gpu() -> None:
    (runner,) = ci_settings.load().runners
    assert (runner.runs_on, runner.gpu, runner.hosted, runner.cost) == (["ubuntu-24.04"], False, True, "free")


@pytest.mark.parametrize("name", ["runners", "subsets"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    load(tmp_path)
    (tmp_path / f"{name}.toml").unlink()
    with pytest.raises(ConfigError, match=rf"{name}\.toml is missing"):
        ci_settings.load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("runs_on", "run_on", "runners.toml: unknown key `runner[0].run_on`; did you mean `runs_on`?"),
        ('["ubuntu-24.04"]', "[]", "runners.toml: `runner[0].runs_on`: list should have at least 1 item"),
        ('["ubuntu-24.04"]', '"ubuntu-24.04"', "runners.toml: `runner[0].runs_on`: input should be a valid list"),
        ("gpu = false\n", "", "runners.toml: `runner[0].gpu` is missing"),
        ("timeout = 90", "timeout = 0", "runners.toml: `runner[0].timeout`: input should be greater"),
        ("free", "cheap", "runners.toml: `runner[0].cost`: input should be 'free', 'metered' or 'own'"),
        ("https:", "http:", "runners.toml: `runner[0].source`: must be a URL that begins with https://"),
        ("ubuntu-24.04", "self-hosted", "`hosted` has `hosted = true` and the label self-hosted"),
        ("[[runner]]", RUNNERS + "[[runner]]", "runners.toml: two runners have the name `hosted`"),
        (RUNNERS, "", "runners.toml: `runner` is missing"),
        (
            "[event.pull_request]",
            "[event.pull_reqest]",
            "unknown key `event.pull_reqest`; did you mean `pull_request`?",
        ),
        ("[event.release]", "", "subsets.toml: `event.release` is missing"),
        ("select", "selct", "unknown key `event.pull_request.selct`; did you mean `select`?"),
        ('"add"', '"ad"', "subsets.toml: `event.pull_request.labels`: input should be 'add', 'replace' or 'refuse'"),
        ('["scripts/"]', "[]", "subsets.toml: `build_inputs`: list should have at least 1 item"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, runners=RUNNERS.replace(old, new), subsets=SUBSETS.replace(old, new, 1))
    assert words in caught.value.message
