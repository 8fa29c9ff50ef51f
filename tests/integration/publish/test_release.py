"""A release for real, as far as it can be here: git, files, and a fake GitHub server that has good and bad days."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

import githubapi
import releasing
from releasing import IDS, OPS, TAG, VERSION
from tfwheel.index import ledger
from tfwheel.index.errors import NameTakenError, WheelMissingError
from tfwheel.publish import github_api, github_assets, release, verify
from tfwheel.publish.errors import (
    AssetRenamedError,
    HostAnswerError,
    NoGreenRunError,
    ReleaseBranchError,
    ReleaseExistsError,
    ReleaseTagError,
    StoreError,
    TokenMissingError,
    VerifyError,
    WheelChangedError,
)
from tfwheel.publish.github_api import GithubApi
from tfwheel.publish.github_repository import Repository
from tfwheel.publish.release import ReleaseContext
from tfwheel.system import files
from tfwheel.system.processes import run
from tfwheel.wheel import records
from tfwheel.wheel.errors import IndexEntryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from githubapi import GitHub
    from tfwheel.errors import FactoryError

SCRIPTS = Path(__file__).parents[3] / "scripts"
TOKEN = "ghp_very_secret"  # noqa: S105 -- of a server that knows no tokens


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds were waited each time; in truth that takes none."""
    found: list[float] = []
    monkeypatch.setattr(github_api.time, "sleep", found.append)
    return found


class World:
    """A checkout with a tag and the artifacts of its run, a host, and the repository that git pushes to."""

    def __init__(self, folder: Path, github: GitHub) -> None:
        self.github, self.root, self.remote = github, releasing.checkout(folder / "checkout"), folder / "remote.git"
        self.tag()
        github.origin = self.remote
        releasing.download(self.root)
        self.run = github.run(self.commit)
        for target in IDS:
            github.artifact(self.run, f"wheel-{target}")

    @property
    def commit(self) -> str:
        return releasing.git(self.root, "rev-parse", "HEAD")

    def tag(self) -> None:
        """Tag the commit that is checked out, and give the remote its main branch."""
        releasing.git(self.root, "tag", "-f", TAG)
        shutil.rmtree(self.remote, ignore_errors=True)
        releasing.git(self.root, "clone", "-q", "--bare", str(self.root), str(self.remote))

    def context(self, **facts: Any) -> ReleaseContext:  # noqa: ANN401 -- the types of the fields
        repository = Repository(
            api=GithubApi(api=self.github.address, repo=githubapi.REPO, token=TOKEN), web=self.github.address
        )
        values = {"settings": releasing.settings(self.root), "root": self.root, "dist": self.root / "dist"}
        values |= {"repository": repository, "remote": self.remote.as_uri(), "patience_s": 0.0}
        return ReleaseContext(**(values | facts))

    def release(self, **facts: Any) -> tuple[ReleaseContext, tuple[ledger.LedgerEntry, ...]]:  # noqa: ANN401 -- as above
        """Do all three steps."""
        context = self.context(**facts)
        wanted = release.planned(context, VERSION)
        release.check(context, wanted)
        release.stage(context, wanted)
        return context, release.publish(context, wanted)

    def published(self) -> bool:
        return any(not found["draft"] for found in self.github.releases)

    def listed(self, branch: str) -> list[ledger.LedgerEntry]:
        text = releasing.git(self.remote, "show", f"{branch}:index/ledger.jsonl")
        return list(ledger.parse(f"{text}\n".encode() if text else b"", name=branch).entries)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Everything is as it should be."""
    with githubapi.running() as github:
        yield World(tmp_path, github)


def wheel_in(world: World, artifact: str, folder: str) -> Path:
    """A downloaded wheel."""
    return next((world.root / "dist" / "run" / artifact / folder).glob("*.whl"))


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
