"""Releases that are refused before anything is uploaded: for their tag, their run, a wheel or a staged file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

import githubapi
import releasing
from releaseworld import TOKEN, World, wheel_in
from releasing import IDS, OPS, TAG, VERSION
from tfwheel.index import ledger
from tfwheel.index.errors import NameTakenError, WheelMissingError
from tfwheel.publish import release
from tfwheel.publish.errors import (
    NoGreenRunError,
    ReleaseBranchError,
    ReleaseTagError,
    TokenMissingError,
    WheelChangedError,
)
from tfwheel.publish.release import ReleaseContext
from tfwheel.system import files
from tfwheel.wheel import records
from tfwheel.wheel.errors import IndexEntryError

pytestmark = pytest.mark.usefixtures("waited")  # nothing waits in truth


# --- bad input: before anything is done ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"status": "in_progress", "conclusion": None}, r"still running \(in_progress\)"),
        ({"conclusion": "failure"}, "ended with `failure`"),
        ({"event": "pull_request"}, "it never ran"),
        ({"head_branch": "topic"}, "it never ran"),
        ({"head_branch": TAG}, "it never ran"),
        ({"head_repository": {"full_name": "stranger/wheels"}}, "it never ran"),
        ({"head_repository": None}, "it never ran"),
        ({"head_sha": "0" * 40}, "it never ran"),
        ({"path": ".github/workflows/ci.yml"}, "it never ran"),
    ],
)
def test_a_commit_without_a_green_run_is_refused(world: World, facts: dict[str, Any], said: str) -> None:
    world.github.state.save(world.run | facts)
    with pytest.raises(NoGreenRunError, match=said):
        world.release()
    assert not world.github.releases


@pytest.mark.parametrize("change", ["dropped", "expired"])
def test_a_run_without_a_wheel_is_refused_by_name(world: World, change: str) -> None:
    for artifact in world.github.state.all("artifact", parent=world.run["id"]):
        if artifact["name"].endswith(IDS[1]):
            world.github.state.save(artifact | ({"expired": True} if change == "expired" else {"name": "other"}))
    with pytest.raises(WheelMissingError, match=f"is green but has no wheel-{IDS[1]}"):
        world.release()
    assert not world.github.releases


def test_a_tag_that_is_elsewhere_or_nowhere_is_refused(world: World) -> None:
    (world.root / "later.txt").write_text("x")
    releasing.commit(world.root)
    with pytest.raises(ReleaseTagError, match=r"is on .*, but .* is checked out"):
        world.release()
    releasing.git(world.root, "tag", "-d", TAG)
    with pytest.raises(ReleaseTagError, match=r"there is no tag v2\.20\.0"):
        world.release()


@pytest.mark.parametrize("main", ["elsewhere", "before"])
def test_a_tag_on_another_branch_is_refused_and_in_a_rehearsal_said(
    world: World, main: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start = world.commit
    releasing.git(world.root, "checkout", "-q", "-b", "topic")
    (world.root / "topic.txt").write_text("x")
    commit = releasing.commit(world.root)
    releasing.git(world.root, "tag", "-f", TAG)
    releasing.git(world.root, "push", "-q", "-f", str(world.remote), "topic", TAG)
    if main == "elsewhere":
        releasing.git(world.root, "checkout", "-q", "main")
        (world.root / "later.txt").write_text("x")
        releasing.commit(world.root)
        releasing.git(world.root, "push", "-q", str(world.remote), "main")
        releasing.git(world.root, "checkout", "-q", "topic")
    green = world.github.run(commit)
    for target in IDS:
        world.github.artifact(green, f"wheel-{target}")
    with pytest.raises(ReleaseBranchError, match=f"commit {commit[:12]} is not on the branch main of someone/wheels"):
        world.release()
    assert not world.github.releases
    context = world.context(rehearsed=True)
    release.check(context, release.planned(context, VERSION))
    assert f"{commit[:12]} is not on the branch main" in capsys.readouterr().err
    assert start != commit


def test_a_release_may_be_of_an_older_commit_of_main(world: World) -> None:
    tagged = world.commit
    (world.root / "later.txt").write_text("x")
    releasing.commit(world.root)
    releasing.git(world.root, "push", "-q", str(world.remote), "main")
    releasing.git(world.root, "checkout", "-q", tagged)
    assert len(world.release()[1]) == 3


def test_a_folder_that_is_no_checkout_is_said(world: World, tmp_path: Path) -> None:
    with pytest.raises(ReleaseTagError, match="is not a git checkout"):
        release.check(world.context(root=tmp_path), release.planned(world.context(), VERSION))


def test_a_build_number_that_was_used_is_refused(world: World) -> None:
    context, entries = world.release()
    ledger.append(context.ledger, entries)
    world.release()  # the same files again: nothing to do
    shutil.rmtree(world.root / "dist" / "release")
    ledger.write(context.ledger, [structs.replace(entries[0], sha256="0" * 64), *entries[1:]])
    with pytest.raises(NameTakenError, match=r"2\.20\.0\+cu125\.2 was released before.*cp311"):
        world.release()


def test_without_credentials_nothing_is_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, paths = releasing.settings(world.root), releasing.paths(world.root)
    for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "GITHUB_API_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TokenMissingError, match="no repository"):
        ReleaseContext.here(settings, paths, rehearsed=False)
    monkeypatch.setenv("GITHUB_REPOSITORY", githubapi.REPO)
    with pytest.raises(TokenMissingError, match="GITHUB_TOKEN is not set"):
        ReleaseContext.here(settings, paths, rehearsed=False)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    context = ReleaseContext.here(settings, paths, rehearsed=False)
    assert context.remote == f"https://github.com/{githubapi.REPO}.git"
    assert TOKEN not in repr(context)


# --- bad input: wheels -----------------------------------------------------------------------------------


def test_a_wheel_that_is_not_there_is_named(world: World) -> None:
    shutil.rmtree(world.root / "dist" / "run" / f"wheel-{IDS[1]}" / IDS[1])
    with pytest.raises(WheelMissingError, match=rf"{IDS[1]}: no wheel of 2\.20"):
        world.release()
    shutil.rmtree(world.root / "dist" / "run")
    for target in (*IDS, OPS):
        releasing.build(world.root / "dist" / "wheels", target, version="2.20.0+cu125.1")
    with pytest.raises(WheelMissingError, match=r"only of 2\.20\.0\+cu125\.1"):
        world.release()
    assert not world.github.releases


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"sha256": "0" * 64}, "sha256"),
        ({"size": 7}, "size"),
        ({"file": "other.whl"}, "name 'tensorflow"),
        ({"target": IDS[0]}, "target"),
    ],
)
def test_a_wheel_that_is_not_what_its_record_says_is_refused(world: World, facts: dict[str, Any], said: str) -> None:
    wheel = wheel_in(world, f"wheel-{IDS[1]}", IDS[1])
    records.save(records.load(records.path_for(wheel)).grown(**facts), wheel)
    with pytest.raises(WheelChangedError, match=f"does not match its record.*{said}"):
        world.release()
    assert not world.github.releases


def test_a_wheel_that_changed_after_the_build_is_refused(world: World) -> None:
    wheel = wheel_in(world, f"wheel-{IDS[1]}", IDS[1])
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    with pytest.raises(WheelChangedError, match="sha256"):
        world.release()
    records.path_for(wheel).unlink()
    with pytest.raises(WheelChangedError, match="no record beside it"):
        world.release()


def test_two_artifacts_with_different_ops_are_refused(world: World) -> None:
    releasing.build(world.root / "dist" / "run" / f"wheel-{IDS[1]}", OPS, body=b"other", source_commit=world.commit)
    with pytest.raises(WheelChangedError, match="two different wheels of ops-tf2"):
        world.release()


def test_a_gpu_report_about_other_bytes_is_refused(world: World) -> None:
    path = next((world.root / "dist" / "run" / f"gpu-{IDS[0]}" / IDS[0]).glob("*.json"))
    wheel = path.with_name(path.name.removesuffix(records.SUFFIX))
    records.save(records.load(path).grown(sha256="0" * 64), wheel)
    with pytest.raises(WheelChangedError, match="about other bytes"):
        world.release()


@pytest.mark.parametrize("commit", ["", "0" * 40, "dirty"])
def test_a_wheel_of_another_commit_is_refused_and_in_a_rehearsal_said(
    world: World, commit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = wheel_in(world, f"wheel-{IDS[1]}", IDS[1])
    other = f"{world.commit}-dirty" if commit == "dirty" else commit
    records.save(records.load(records.path_for(wheel)).grown(source_commit=other), wheel)
    with pytest.raises(WheelChangedError, match=f"was built from `{other}`"):
        world.release()
    context = world.context(rehearsed=True)
    release.stage(context, release.planned(context, VERSION))
    assert f"was built from `{other}`" in capsys.readouterr().err


def test_a_wheel_that_did_not_pass_is_refused(world: World) -> None:
    for path in (world.root / "dist" / "run").glob(f"*/{IDS[1]}/*{records.SUFFIX}"):
        record = records.load(path)
        report = {"passed": False, "wheel_sha256": record.sha256, "reason": "so ordered"}
        records.save(record.grown(smoke=report), path.with_name(path.name.removesuffix(records.SUFFIX)))
    with pytest.raises(IndexEntryError, match="its smoke test failed: so ordered"):
        world.release()


def test_a_staged_file_that_changed_is_refused(world: World) -> None:
    context = world.context()
    wanted = release.planned(context, VERSION)
    with pytest.raises(WheelMissingError, match="nothing is staged"):
        release.publish(context, wanted)
    staged = release.stage(context, wanted)
    (staged.folder / "stranger.txt").write_text("x")
    (staged.folder / f"{staged.wheels[0].name}.metadata").write_text("x")
    with pytest.raises(WheelChangedError, match=r"stranger\.txt, tensorflow.*cp311.*\.whl\.metadata"):
        release.publish(context, wanted)
    assert not world.github.releases
    assert release.stage(context, wanted).sums == staged.sums
    assert not (staged.folder / "stranger.txt").exists()


def test_what_is_signed_is_what_another_job_staged(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context, checked = world.context(), list[Path]()
    wanted = release.planned(context, VERSION)
    steps = release.steps(context, wanted, gates=checked.append)
    assert tuple(steps) == release.STEPS
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    for name in ("check", "stage", "gates", "confirm"):
        steps[name]()
    assert checked == [context.folder(wanted)]
    sums = files.sha256_of(context.folder(wanted) / "SHA256SUMS")
    assert (tmp_path / "output").read_text().splitlines()[-1] == f"sums={sums}"
    release.confirm(context, wanted, sums)
    wheel = wheel_in(world, f"wheel-{IDS[0]}", IDS[0])  # altered between the jobs, with all that vouches for it
    wheel.unlink()
    releasing.build(wheel.parent.parent, IDS[0], body=b"import evil", source_commit=world.commit)
    for path in (world.root / "dist" / "run").glob(f"gpu-*/{IDS[0]}"):
        shutil.rmtree(path)
    release.stage(context, wanted)
    with pytest.raises(WheelChangedError, match=f"and {sums} was staged and checked"):
        release.steps(context, wanted, gates=checked.append, sums=sums)["confirm"]()


@pytest.mark.parametrize("change", ["push", "pull-request"])
def test_new_lines_are_shown_by_a_run_on_main(world: World, change: str) -> None:
    index = world.root / "build_config" / "index.toml"
    index.write_text(f'ledger_change = "{change}"\n{index.read_text()}')
    release.show(world.context())
    started = [one for one in world.github.state.all("run") if one["path"].endswith("pages.yml")]
    found = [(one["event"], one["head_branch"], one["head_sha"]) for one in started]
    assert found == ([("workflow_dispatch", "main", world.commit)] if change == "push" else [])
