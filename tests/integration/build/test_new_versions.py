"""Real pip looks in a folder that stands for the index; what is proposed is text that the configuration takes."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import smallconfig
import stubworld
from tfwheel.build import new_versions
from tfwheel.config import plan
from tfwheel.config.schema import WatchedEntry
from tfwheel.system.errors import PackageIndexError

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.build_config import Config

CUDA = "nvidia-cuda-runtime{}>={}; extra == 'and-cuda'"
WATCHED = WatchedEntry(project="tensorflow-cuda13", seen="0.0.1rc1")
LINES = (
    smallconfig.LINES
    + """
[cu13]
label = "cu130"
base = "tensorflow"
cuda = "13.0.2"
archs = ["75"]
builder = "source"
"""
)


class Index:
    """A folder of simple pages and wheels, as pip reads them."""

    def __init__(self, folder: Path) -> None:
        """Start empty."""
        self.folder = folder

    def add(self, project: str, version: str, *requires: str, python: str = "3.12", yanked: bool = False) -> None:
        """Put a stub of an official wheel there, and its page."""
        place = self.folder / project
        tag = "cp" + python.replace(".", "")
        wheel = stubworld.stub(place, project, version, requires, f"{tag}-{tag}-manylinux_2_17_x86_64")
        mark = ' data-yanked="broken"' if yanked else ""
        with (place / "index.html").open("a", encoding="utf-8") as page:
            page.write(f'<a href="{wheel.name}"{mark}>{wheel.name}</a>\n')


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """An index that pip asks instead of its own."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    monkeypatch.setattr(new_versions, "PYTHONS", ("3.11", "3.12", "3.13"))  # for time: each is a run of pip
    return Index(tmp_path / "simple")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Lines for CUDA 12.5, for CPUs, and one that starts from no official wheel; TensorFlow 2.20.0 alone."""
    (tmp_path / "config").mkdir()
    return smallconfig.load(tmp_path / "config", lines=LINES)


def releases(text: str) -> list[tuple[str, list[str], list[str]]]:
    """What a proposal adds, as TOML is read."""
    return [(one["tensorflow"], one["pythons"], one["lines"]) for one in tomllib.loads(text).get("release", [])]


def test_what_is_newer_is_proposed_for_the_pythons_and_lines_that_can_have_it(index: Index, config: Config) -> None:
    new = CUDA.format("-cu12", "12.5.82")
    for python in ("3.12", "3.13"):
        index.add("tensorflow", "2.21.0", new, python=python)
    index.add("tensorflow", "2.20.0", new)
    index.add("tensorflow-cpu", "2.21.0", python="3.11")
    text = new_versions.propose(config)
    assert releases(text) == [("2.21.0", ["3.11"], ["cpu"]), ("2.21.0", ["3.12", "3.13"], ["cu12"])]
    assert "# TensorFlow 2.20.0" not in text


def test_what_is_proposed_can_be_pasted(index: Index, config: Config, tmp_path: Path) -> None:
    index.add("tensorflow", "2.21.0", CUDA.format("-cu12", "12.5.82"))
    pasted = smallconfig.TARGETS + new_versions.propose(config)
    found = plan.targets(smallconfig.load(tmp_path / "config", lines=LINES, targets=pasted))
    assert "tf2.21.0-cp312-cu12" in {target.id for target in found}


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        ([CUDA.format("-cu12", "12.3.101")], "tensorflow was built with CUDA 12.3, and the line has 12.5.1"),
        ([CUDA.format("", "13.0.48,<14")], "tensorflow was built with CUDA 13.0, and the line has 12.5.1"),
        ([], "tensorflow does not say with which CUDA version it was built"),
    ],
)
def test_a_line_that_cannot_be_made_of_it_says_why(
    index: Index, config: Config, requires: list[str], reason: str
) -> None:
    index.add("tensorflow", "2.21.0", *requires)
    text = new_versions.propose(config)
    assert "# TensorFlow 2.21.0: no line can be made of it\n#   cpu: tensorflow-cpu has no wheel of it\n" in text
    assert f"#   cu12: {reason}\n" in text
    assert releases(text) == []


def test_candidates_count_until_their_final_version_and_other_unfinished_ones_never(
    index: Index, config: Config
) -> None:
    for version in ("2.19.0", "2.21.0rc0", "2.21.0", "2.22.0rc0", "2.22.0rc1", "2.23.0.dev20261026", "2.20.0rc0"):
        index.add("tensorflow", version, CUDA.format("-cu12", "12.5.82"))
    found = [version for version, _, _ in releases(new_versions.propose(config))]
    assert found == ["2.22.0rc1", "2.22.0rc0", "2.21.0"]


def test_a_version_between_those_that_are_built_is_proposed_and_a_yanked_one_is_not(
    index: Index, config: Config
) -> None:
    newer = config.releases[0].model_copy(update={"tensorflow": "2.22.0"})
    for version, yanked in (("2.20.1", True), ("2.21.0", False), ("2.21.1", True)):
        index.add("tensorflow", version, CUDA.format("-cu12", "12.5.82"), yanked=yanked)
    index.add("tensorflow-cpu", "2.21.1")
    text = new_versions.propose(replace(config, releases=(*config.releases, newer)))
    assert releases(text) == [("2.21.1", ["3.12"], ["cpu"]), ("2.21.0", ["3.12"], ["cu12"])]
    assert "#   cu12: tensorflow has no wheel of it\n" in text


def test_where_nothing_is_new_that_is_said(index: Index, config: Config) -> None:
    index.add("tensorflow", "2.20.0")
    text = new_versions.propose(config)
    assert (
        text == "# targets.toml has every TensorFlow on pip's index, from the oldest of it on. Nothing was written.\n"
    )


def test_a_first_release_under_a_reserved_name_is_reported(index: Index, config: Config) -> None:
    watching = replace(config, watched=(WATCHED,))
    for version in ("0.0.1rc0", "0.0.1rc1"):
        index.add("tensorflow-cuda13", version)
    assert "cuda13" not in new_versions.propose(watching)
    index.add("tensorflow-cuda13", "2.23.0rc0")
    assert '# tensorflow-cuda13 2.23.0rc0: official wheels with CUDA 13: a line with `base = "tensorflow-cuda13"`' in (
        new_versions.propose(watching)
    )


def test_nothing_is_written(index: Index, config: Config) -> None:
    index.add("tensorflow", "2.21.0", CUDA.format("-cu12", "12.5.82"))
    before = {path: path.read_bytes() for path in config.directory.rglob("*") if path.is_file()}
    new_versions.propose(config)
    assert {path: path.read_bytes() for path in config.directory.rglob("*") if path.is_file()} == before


def test_an_index_that_does_not_answer_is_no_index_without_news(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "no such choice")
    with pytest.raises(PackageIndexError):
        new_versions.propose(config)
