"""A release for real, as far as it can be here: git, files, and a fake GitHub server that has good and bad days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import githubapi
import releasing
from releaseworld import TOKEN, World, wheel_in
from releasing import IDS, TAG, VERSION
from tfwheel.index import ledger
from tfwheel.index.errors import NameTakenError
from tfwheel.publish import github_assets, release, verify
from tfwheel.publish.errors import AssetRenamedError, HostAnswerError, ReleaseExistsError, StoreError, VerifyError
from tfwheel.system import files
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.errors import FactoryError


pytestmark = pytest.mark.usefixtures("waited")  # nothing waits in truth


# --- good days -------------------------------------------------------------------------------------------


def test_everything_is_in_the_draft_before_it_is_published_and_the_ledger_is_proposed(world: World) -> None:
    drafts: list[bool] = []
    context, entries = world.release(on_step=lambda _: drafts.append(world.published()))
    assert drafts == sorted(drafts)
    (found,) = world.github.releases
    assert (found["tag_name"], found["draft"], found["target_commitish"]) == (TAG, False, world.commit)
    assert found["body"] == "- Wheels for tests.\n"
    names = {asset["name"] for asset in found["assets"]}
    wheels = {entry.file for entry in entries}
    endings = ("", ".metadata", ".record.json", ".cdx.json", ".provenance.json")
    assert names == {"SHA256SUMS", *(wheel + ending for wheel in wheels for ending in endings)}
    assert len(wheels) == 3
    assert all(entry.gpu_smoke and entry.gpu_smoke["gpu"] == {"name": "NVIDIA T4"} for entry in entries)
    urls = {asset["name"]: asset["browser_download_url"] for asset in found["assets"]}
    assert all(entry.url == urls[entry.file] and "v2.20.0%2Bcu125.2/" in entry.url for entry in entries)
    assert {entry.uploaded for entry in entries} == {found["published_at"]}
    assert world.listed("main") == []
    assert world.listed(f"ledger/{TAG}") == sorted(entries, key=lambda entry: entry.place)
    (pull,) = world.github.state.all("pull")
    assert (pull["title"], pull["head"]["ref"]) == (f"Ledger: {VERSION}", f"ledger/{TAG}")
    assert ledger.read(context.ledger).entries == ()
    run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=context.folder(release.planned(context, VERSION)))


def test_a_second_time_there_is_nothing_to_do(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    first = world.release()[1]
    commit = releasing.git(world.remote, "rev-parse", f"ledger/{TAG}")
    world.github.methods.clear()
    assert world.release()[1] == first
    assert set(world.github.methods) == {"GET", "HEAD"}
    assert releasing.git(world.remote, "rev-parse", f"ledger/{TAG}") == commit
    assert "complete and with these very files" in capsys.readouterr().err
    releasing.git(world.remote, "fetch", "-q", ".", f"ledger/{TAG}:main")
    world.release()
    assert "ledger: no change: main has it already" in capsys.readouterr().err
    assert len(world.listed("main")) == 3


def test_the_ledger_can_be_pushed_without_a_pull_request(world: World) -> None:
    with (world.root / "build_config" / "index.toml").open("r+") as file:
        rest = file.read()
        file.seek(0)
        file.write(f'ledger_change = "push"\n{rest}')
    entries = world.release()[1]
    assert world.listed("main") == list(entries)
    assert not world.github.state.all("pull")


def test_what_the_ledger_has_from_elsewhere_stays(world: World) -> None:
    other = releasing.ROOT / "tests"
    assert other.is_dir()
    releasing.git(world.root, "checkout", "-q", "-b", "later")
    from ledgers import entry  # noqa: PLC0415 -- only here

    ledger.append(world.root / "index" / "ledger.jsonl", [entry(1)])
    releasing.commit(world.root)
    releasing.git(world.root, "push", "-q", str(world.remote), "later:main")
    releasing.git(world.root, "checkout", "-q", TAG)
    entries = world.release()[1]
    assert {found.file for found in world.listed(f"ledger/{TAG}")} == {entry(1).file, *(one.file for one in entries)}


def test_ci_is_told_which_run_it_is(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context = world.context()
    found = release.check(context, release.planned(context, f"v{VERSION}"))
    release.tell_ci(run=str(found.id), version=VERSION)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    release.tell_ci(run=str(found.id), version=VERSION)
    assert (tmp_path / "output").read_text() == f"run={world.run['id']}\nversion={VERSION}\n"


def test_the_newest_green_run_with_all_wheels_is_taken(world: World) -> None:
    partial = world.github.run(world.commit)
    world.github.artifact(partial, f"wheel-{IDS[0]}")
    world.github.run(world.commit, conclusion="failure")
    stranger = world.github.run(world.commit, event="pull_request")
    for target in IDS:
        world.github.artifact(stranger, f"wheel-{target}")
    context = world.context()
    assert release.check(context, release.planned(context, VERSION)).id == world.run["id"]


# --- bad days of the host --------------------------------------------------------------------------------


def test_an_asset_that_the_host_renames_stops_the_release(world: World) -> None:
    file = wheel_in(world, f"wheel-{IDS[1]}", IDS[1]).name
    world.github.strange[file] = file.replace("+", ".")
    with pytest.raises(AssetRenamedError, match=r"its name is 'tensorflow-2\.20\.0\.cu125\.2"):
        world.release()
    assert not world.published()
    assert not any(asset["name"] == file.replace("+", ".") for asset in world.github.releases[0]["assets"])
    world.github.strange.clear()
    world.release()
    assert world.published()


def test_a_release_of_that_tag_with_other_files_is_left_alone(world: World) -> None:
    found = world.github.release(TAG)
    world.github.upload(found, "README.txt")
    before = world.github.releases
    with pytest.raises(ReleaseExistsError, match=r"has other files than .*README\.txt, SHA256SUMS"):
        world.release()
    assert world.github.releases == before


def test_the_release_of_a_candidate_is_marked_as_one(world: World) -> None:
    repository = world.context().repository
    for tag in (TAG, "v2.22.0rc0+cu125.1"):
        repository.draft(tag, commit=world.commit, notes="- x\n")
    assert {one["tag_name"]: one["prerelease"] for one in world.github.releases} == {
        TAG: False,
        "v2.22.0rc0+cu125.1": True,
    }


def test_a_draft_with_strange_files_and_two_drafts_are_refused(world: World) -> None:
    found = world.github.release(TAG, draft=True)
    world.github.upload(found, "README.txt")
    world.github.upload(found, "SHA256SUMS", b"of another try")
    with pytest.raises(ReleaseExistsError, match=r"files that are not ours: README\.txt, SHA256SUMS"):
        world.release()
    world.github.release(TAG, draft=True)
    with pytest.raises(ReleaseExistsError, match="has 2 drafts"):
        world.release()
    assert not world.published()


def test_what_broken_uploads_left_is_sent_again(world: World, waited: list[float]) -> None:
    found = world.github.release(TAG, draft=True)
    world.github.upload(found, "left.whl", state="starter", digest=None)
    world.github.broken += ["SHA256SUMS", r"cp312.*whl$", r"cp312.*whl$"]
    _, entries = world.release()
    assert pytest.approx([2, 2, 4]) == waited
    assert len(world.github.releases[0]["assets"]) == 16
    verify.check_asset(entries[1].url, entries[1])


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        ("^GET .*/releases", HostAnswerError),
        ("^GET .*/runs", HostAnswerError),
        ("^GET .*/artifacts", HostAnswerError),
        ("^POST .*/releases$", HostAnswerError),
        ("^POST .*/assets", StoreError),
        ("^GET .*/assets", HostAnswerError),
        ("^PATCH ", HostAnswerError),
        ("^HEAD ", HostAnswerError),
        ("^GET .*/pulls", HostAnswerError),
        ("^POST .*/pulls", HostAnswerError),
    ],
)
def test_an_api_that_fails_half_way_leaves_what_a_second_run_completes(
    world: World, pattern: str, error: type[FactoryError], capsys: pytest.CaptureFixture[str]
) -> None:
    world.github.refusals = [(pattern, githubapi.server_error)] * 200
    with pytest.raises(error) as failure:
        world.release()
    world.github.refusals.clear()
    entries = world.release()[1]
    assert world.listed(f"ledger/{TAG}") == sorted(entries, key=lambda entry: entry.place)
    assert [found["draft"] for found in world.github.releases] == [False]
    assert len(world.github.state.all("pull")) == 1
    assert TOKEN not in f"{failure.value}{capsys.readouterr()}"


def test_a_release_that_is_refused_a_second_publishing_is_published_all_the_same(world: World) -> None:
    world.github.fault("^PATCH .*/releases", githubapi.forbidden)
    world.release()
    assert world.published()


def test_a_lost_answer_makes_no_second_draft_and_no_second_pull_request(world: World) -> None:
    for pattern in ("^POST .*/releases$", "^POST .*/pulls$", "^PATCH .*/releases"):
        world.github.fault(pattern, githubapi.cut)
    world.release()
    assert [found["draft"] for found in world.github.releases] == [False]
    assert len(world.github.state.all("pull")) == 1


def test_a_rate_limit_is_waited_for_while_writing(world: World, waited: list[float]) -> None:
    for pattern in ("^POST .*/releases$", "^POST .*/assets", "^PATCH .*/releases", "^POST .*/pulls"):
        world.github.refusals.append((pattern, githubapi.retry_after(7)))
    world.release()
    assert waited == [7.0] * 4
    assert [found["draft"] for found in world.github.releases] == [False]


def test_a_host_that_shows_other_bytes_is_found(world: World) -> None:
    world.github.fault("^GET /blob/.*SUMS", githubapi.html_with_200)
    with pytest.raises(VerifyError, match="does not return the released file"):
        world.release()


def test_a_host_that_takes_its_time_is_waited_for(world: World, waited: list[float]) -> None:
    world.github.fault("^HEAD ", githubapi.server_error, times=2)
    world.release(patience_s=60.0)
    assert waited == [5.0, 5.0]


def test_a_store_never_changes_a_published_release(world: World) -> None:
    context, _ = world.release()
    found = context.repository.release_of(TAG)
    assert found
    store = github_assets.GithubStore(repository=context.repository, release=found)
    path = world.root / "CHANGELOG.md"
    with path.open("rb") as source, pytest.raises(ReleaseExistsError, match="is published and lacks more"):
        store.put("more", source, sha256=files.sha256_of(path))
    with path.open("rb") as source, pytest.raises(NameTakenError, match="it cannot become"):
        store.put("SHA256SUMS", source, sha256=files.sha256_of(path))
