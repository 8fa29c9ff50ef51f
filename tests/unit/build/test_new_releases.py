"""What `update-pins -- --new` proposes, of an index that answers from a table."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from smallconfig import load
from tfwheel.build import new_releases
from tfwheel.config.schema import ReleaseEntry
from tfwheel.system import pip_queries
from tfwheel.system.errors import PackageIndexError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OFFERED = {
    "tensorflow": {
        "2.22.0rc1": ["3.13"],
        "2.21.0rc1": ["3.12"],
        "2.21.0": ["3.12", "3.13"],
        "2.20.0": ["3.12"],
        "2.17.1": ["3.11"],
        "2.15.0": ["3.11"],
        "2.23.0.dev20261101": ["3.13"],
    },
    "tensorflow-cpu": {"2.21.0": ["3.13"]},
}
CUDA = {"2.17.1": "12.3.101", "2.21.0": "12.5.82", "2.22.0rc1": "13.0.48"}


@pytest.fixture
def _index(monkeypatch: pytest.MonkeyPatch) -> None:
    def versions(project: str, *, python: str, pre: bool = False) -> list[str]:
        assert pre
        return [version for version, pythons in OFFERED.get(project, {}).items() if python in pythons]

    def requirements(pins: Mapping[str, str], *, python: str) -> dict[str, tuple[str, ...]]:
        ((project, version),) = pins.items()
        assert python == OFFERED[project][version][-1]
        suffix = "" if CUDA[version].startswith("13") else "-cu12"
        return {project: (f"nvidia-cuda-runtime{suffix}=={CUDA[version]} ; extra == 'and-cuda'", "numpy>=1")}

    monkeypatch.setattr(pip_queries, "versions", versions)
    monkeypatch.setattr(pip_queries, "requirements", requirements)


@pytest.mark.usefixtures("_index")
def test_what_is_lacking_can_be_pasted_and_what_no_line_takes_is_said(tmp_path: Path) -> None:
    text = new_releases.proposed(load(tmp_path))
    assert "# tensorflow 2.22.0rc1 is built with CUDA 13.0; no line starts from such a wheel" in text
    assert "# tensorflow 2.17.1 is built with CUDA 12.3; no line starts from such a wheel" in text
    assert not any(word in text for word in ("2.15.0", "2.20.0", "2.21.0rc1", "dev"))
    releases = [ReleaseEntry(**one) for one in tomllib.loads(text)["release"]]
    assert [(one.tensorflow, one.build, one.pythons, one.lines) for one in releases] == [
        ("2.21.0", 1, ["3.12", "3.13"], ["cu12"]),
        ("2.21.0", 1, ["3.13"], ["cpu"]),
    ]


@pytest.mark.usefixtures("_index")
def test_where_nothing_lacks_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pip_queries, "versions", lambda _project, **_: ["2.20.0"])
    assert new_releases.proposed(load(tmp_path)).startswith(
        "The configuration has every official TensorFlow from 2.16 on"
    )


def test_an_index_that_does_not_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_project: str, **_: object) -> list[str]:
        message = "which versions of tensorflow are there? No answer"
        raise PackageIndexError(message)

    monkeypatch.setattr(pip_queries, "versions", silent)
    with pytest.raises(PackageIndexError, match="which versions of tensorflow"):
        new_releases.proposed(load(tmp_path))
