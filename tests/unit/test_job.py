"""What a build notes about the cache it used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel import config, pipeline, toolchain
from tfwheel.compilers import Compiler
from tfwheel.job import Job
from tfwheel.places import Places
from tfwheel.targets import Base

if TYPE_CHECKING:
    from pathlib import Path

BASE = Base(
    project="tensorflow",
    version="2.20.0",
    python="3.12",
    file="x.whl",
    sha256="ab" * 32,
    size=1,
    platforms=(),
    requires_python="",
    requires_dist=(),
)


@pytest.fixture
def build(tmp_path: Path) -> Job:
    places = Places(settings=tmp_path, dist=tmp_path / "dist", cache=tmp_path / "cache")
    return Job(config=config.load(), places=places, target=fakewheels.target(), base=BASE)


def test_what_was_there_before_and_stayed_came_from_a_cache(build: Job, tmp_path: Path) -> None:
    kept, made, replaced = (tmp_path / name for name in ("kept", "made", "replaced"))
    kept.mkdir()
    replaced.write_text("damaged")
    with build.noting("kept", kept):
        pass
    with build.noting("made", made):
        made.write_text("new")
    with build.noting("replaced", replaced):
        made.replace(replaced)
    with build.noting("never made", tmp_path / "absent"):
        pass
    assert build.cached == ["kept"]


def test_what_failed_came_from_nowhere(build: Job, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broke off"), build.noting("kept", tmp_path):
        raise OSError("broke off")  # noqa: EM101, TRY003 -- as a download would
    assert build.cached == []


@pytest.mark.parametrize(("there", "cached"), [([], []), (["cuda-12.5.1-aa"], ["toolchain"]), (["cuda-12.5.1-bb"], [])])
def test_a_tree_of_cuda_parts_that_was_there_came_from_the_cache(
    build: Job, monkeypatch: pytest.MonkeyPatch, there: list[str], cached: list[str]
) -> None:
    trees = build.places.cache / "toolchains"
    for name in there:
        (trees / name).mkdir(parents=True)

    def prepare(*_: object, **__: object) -> toolchain.Toolchain:
        tree = trees / "cuda-12.5.1-aa"
        tree.mkdir(parents=True, exist_ok=True)
        compiler = Compiler(path=tree, version="19.1.0")
        return toolchain.Toolchain(kind="clang", host=compiler, device=compiler, cuda_root=tree, reason="a test")

    monkeypatch.setattr(toolchain, "prepare", prepare)
    assert pipeline._toolchain(build).cuda_root == trees / "cuda-12.5.1-aa"
    assert build.cached == cached
