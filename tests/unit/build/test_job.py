"""What a build notes about the cache it used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel.build import gpu_code, official_wheel, pipeline, toolchain
from tfwheel.build.compilers import Compiler
from tfwheel.system import kept_folders

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.build.job import Job


@pytest.fixture
def build(tmp_path: Path) -> Job:
    return fakewheels.job(tmp_path)


def test_what_was_there_before_and_stayed_came_from_a_cache(build: Job, tmp_path: Path) -> None:
    kept, made, replaced = (tmp_path / name for name in ("kept", "made", "replaced"))
    kept.mkdir()
    replaced.write_text("damaged")
    with build.recording_cache_hit("kept", kept):
        pass
    with build.recording_cache_hit("made", made):
        made.write_text("new")
    with build.recording_cache_hit("replaced", replaced):
        made.replace(replaced)
    with build.recording_cache_hit("never made", tmp_path / "absent"):
        pass
    assert build.cached == ["kept"]


def test_what_failed_came_from_nowhere(build: Job, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broke off"), build.recording_cache_hit("kept", tmp_path):
        raise OSError("broke off")  # noqa: EM101, TRY003 -- as a download would
    assert build.cached == []


@pytest.mark.parametrize(("there", "cached"), [([], []), (["cuda-12.5.1-aa"], ["toolchain"]), (["cuda-12.5.1-bb"], [])])
def test_a_tree_of_cuda_parts_that_was_there_came_from_the_cache(
    build: Job, monkeypatch: pytest.MonkeyPatch, there: list[str], cached: list[str]
) -> None:
    trees = build.paths.cache / "toolchains"
    for name in there:
        (trees / name).mkdir(parents=True)
        (trees / name / kept_folders.WHOLE).write_text("{}")
    tree = trees / "cuda-12.5.1-aa"
    compiler = Compiler(path=tree, version="19.1.0")
    chain = toolchain.Toolchain(
        kind="clang", host=compiler, device=compiler, cuda_root=tree, toolkit=("x==1",), reason="a test"
    )
    monkeypatch.setattr(toolchain, "prepare", lambda *_, **__: tree.mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(gpu_code, "fetch_tools", lambda _: None)
    monkeypatch.setattr(official_wheel, "fetch", lambda *_: tree)
    pipeline._fetched(build, chain)
    assert tree.is_dir()
    assert build.cached == cached
