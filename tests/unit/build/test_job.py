"""What a build notes about the cache it used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakewheels
import opsworld
from ledgers import entry
from tfwheel.build import gpu_code, official_wheel, pipeline, published_names, toolchain
from tfwheel.build.compilers import Compiler
from tfwheel.build.errors import OpsSourceError
from tfwheel.config.ops_projects import LibraryEntry, OpsProject
from tfwheel.index import ledger
from tfwheel.index.errors import NameTakenError
from tfwheel.system import kept_folders

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.build.job import Job
    from tfwheel.config.targets import Line


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
    (build.paths.settings / "ops").mkdir()
    pipeline._fetched(build, chain)
    assert tree.is_dir()
    assert build.cached == cached


# --- what is published already ---------------------------------------------------------------------------


def test_a_version_that_is_published_from_other_inputs_is_refused_before_any_work(build: Job) -> None:
    published_names.require_free(build.config, build.target, build.paths)
    known = entry(1, version=build.target.version, inputs=build.inputs)
    ledger.append(build.paths.published, [known])
    published_names.require_free(build.config, build.target, build.paths)
    other = build.paths.settings / "ops" / "src" / "new.cc"
    other.parent.mkdir(parents=True)
    other.write_text("// another op")
    changed = replace(build, config=replace(build.config, directory=build.paths.settings))
    before = sorted(build.paths.settings.rglob("*"))
    with pytest.raises(NameTakenError, match="published from other ops") as caught:
        published_names.require_free(changed.config, build.target, build.paths)
    assert "Raise `build` to 2 in build_config/targets.toml" in caught.value.remedy
    assert sorted(build.paths.settings.rglob("*")) == before
    published_names.require_free(changed.config, build.target, build.paths, trial=True)


GPU_ONLY = LibraryEntry(file="their_ops/_gpu.so", gpu_only=True)
THEIRS = OpsProject(name="theirs", kind="cmake", path="x", packages=["their_ops"], library=[GPU_ONLY])
OWN = OpsProject(name="own", kind="pyproject", path="own", folder="deep", packages=["own_ops"])


@pytest.mark.parametrize(("line", "ops"), [(fakewheels.LINE, ["one", "their_ops/_gpu.so"]), (fakewheels.CPU, ["one"])])
def test_the_sbom_names_the_ops_that_the_line_has(build: Job, line: Line, ops: list[str]) -> None:
    opsworld.write(
        build.paths.settings, {"own/deep/src/a/one.cc": "", "own/deep/src/two.cu.cc": "", "own/src/no.cc": ""}
    )
    config = replace(build.config, ops=(THEIRS, OWN))
    assert replace(build, config=config, target=replace(build.target, line=line)).ops == ops


def test_a_test_that_would_pass_without_having_run_is_refused_by_the_job(build: Job) -> None:
    opsworld.write(build.paths.settings, {"own/deep/a_test.py": "def test_one(): assert False\n"})
    own = OWN.model_copy(update={"tests": ["a_test.py"]})
    with pytest.raises(OpsSourceError, match=r"a_test\.py of the .* `own` would pass without having run anything"):
        replace(build, config=replace(build.config, ops=(own,))).ops_tests()
