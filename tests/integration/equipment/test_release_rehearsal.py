"""A rehearsed release: what it builds first, and that it goes on after being killed wherever that was."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import releasing
from fake_github import server
from rehearsal import release_rehearsal
from releasing import IDS, TAG, VERSION
from tfwheel.config import build_config
from tfwheel.config.paths import Paths
from tfwheel.errors import GateError
from tfwheel.index import ledger
from tfwheel.publish import release_files, verify
from tfwheel.publish.errors import TokenMissingError
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SCRIPTS = Path(__file__).parents[3] / "scripts"
KILLS = int(os.environ.get("TFWHEEL_KILLS", "4"))  # at random instants
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["rehearsal.release_rehearsal", "releasing"])


def test_a_rehearsal_first_builds_what_the_version_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(release_rehearsal.pipeline, "build", lambda target, **_: built.append(target))
    root = releasing.checkout(tmp_path / "checkout")
    settings = build_config.load(root / "build_config")
    paths = Paths(settings=root / "build_config", dist=root / "dist", cache=tmp_path / "cache")
    wheel = paths.wheels / IDS[0] / f"tensorflow-{VERSION}-cp311-cp311-manylinux_2_17_x86_64.whl"
    wheel.parent.mkdir(parents=True)
    wheel.touch()
    (paths.wheels / IDS[1]).mkdir()
    (paths.wheels / IDS[1] / "tensorflow-2.20.0+cu125.1-cp312-cp312-manylinux_2_17_x86_64.whl").touch()
    release_rehearsal.build_missing(settings, paths, VERSION)
    assert built == [IDS[1]]
    (paths.dist / "run").mkdir()
    release_rehearsal.build_missing(settings, paths, VERSION)
    assert built == [IDS[1]]


def kind(step: str) -> str:
    """What a step does, without what it does it to."""
    return step.split(maxsplit=1)[0]


def rehearse_alone(root: Path, start: Connection, kill_at: str | None = None) -> None:
    """Rehearse in a process of its own, and die by SIGKILL before the first step of a kind, where one is named."""
    start.send(None)
    seen: list[str] = []

    def on_step(step: str) -> None:
        seen.append(kind(step))
        if kill_at == kind(step):
            os.kill(os.getpid(), signal.SIGKILL)

    release_rehearsal.rehearse(
        releasing.settings(root), releasing.paths(root), VERSION, installed=False, on_step=on_step
    )
    start.send(seen)


def child(root: Path, kill_at: str | None = None) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """A rehearsal that has just begun."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=rehearse_alone, args=(root, there, kill_at))
    process.start()
    here.recv()
    return process, here


class Rehearsal:
    """A checkout with wheels, and what an undisturbed rehearsal of it leads to."""

    def __init__(self, folder: Path) -> None:
        self.root = releasing.checkout(folder / "checkout")
        releasing.build_all(self.root)
        self.folder = self.root / "dist" / "rehearsal"
        process, answers = child(self.root)
        begun = time.perf_counter()
        process.join()
        self.seconds = time.perf_counter() - begun
        assert process.exitcode == 0
        self.kinds = list(dict.fromkeys(answers.recv()))
        self.wanted = self.state()

    def state(self) -> dict[str, Any]:
        """All that counts, without addresses and times."""
        host = release_rehearsal.GitHub(folder=self.folder / "host", repo=release_rehearsal.REPO)
        shown = [host.shown(found) for found in host.state.all("release")]
        pulls = [(pull["title"], pull["state"]) for pull in host.state.all("pull")]
        host.state.close()
        entries = ledger.read(self.folder / "ledger.jsonl").entries
        pages = [path.relative_to(self.folder).as_posix() for path in (self.folder / "site").rglob("*")]
        return {
            "releases": [(one["tag_name"], one["draft"]) for one in shown],
            "assets": [(asset["name"], asset["digest"], asset["state"]) for one in shown for asset in one["assets"]],
            "pulls": pulls,
            "ledger": [(entry.file, entry.sha256) for entry in entries],
            "pages": sorted(pages),
            "commits": len(releasing.git(self.folder / "remote.git", "rev-list", "main").split()),
        }

    def check_rerun(self) -> None:
        process, _ = child(self.root)
        process.join()
        assert process.exitcode == 0
        assert self.state() == self.wanted


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    """See Rehearsal."""
    return Rehearsal(tmp_path)


def test_a_rehearsal_killed_before_any_step_goes_on_and_publishes_nothing_twice(rehearsal: Rehearsal) -> None:
    assert len(rehearsal.wanted["assets"]) == 16
    assert rehearsal.wanted["releases"] == [(TAG, False)]
    assert rehearsal.wanted["pulls"] == [(f"Ledger: {VERSION}", "closed")]
    assert {"stage", "draft", "upload", "publish", "merge", "deploy", "verify"} < set(rehearsal.kinds)
    for step in rehearsal.kinds:  # each run goes on where the one before it was killed
        process, _ = child(rehearsal.root, kill_at=step)
        process.join()
        assert process.exitcode == -signal.SIGKILL, step
    rehearsal.check_rerun()


def test_a_rehearsal_killed_at_any_instant_goes_on(rehearsal: Rehearsal) -> None:
    chance = random.Random(5)  # noqa: S311 -- instants, not secrets
    killed = 0
    while killed < KILLS:
        process, _ = child(rehearsal.root)
        process.join(rehearsal.seconds * chance.random())
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        rehearsal.check_rerun()


def test_a_rehearsal_of_other_wheels_or_at_an_address_that_is_taken_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = releasing.checkout(tmp_path / "checkout")
    releasing.build_all(root)
    folder = root / "dist" / "rehearsal"

    def rehearse(until: str = "") -> int:
        def on_step(step: str) -> None:
            if step == until:
                raise KeyboardInterrupt

        paths, settings = releasing.paths(root), releasing.settings(root)
        said = release_rehearsal.rehearse(settings, paths, VERSION, installed=False, on_step=on_step)
        return sum(line.startswith("released ") for line in said)

    with pytest.raises(KeyboardInterrupt):
        rehearse("verify")
    releasing.build_all(root, tools={"other": "1"})
    assert rehearse() == 3
    assert not (folder / "rehearsed.txt").exists()
    with pytest.raises(KeyboardInterrupt):
        rehearse("verify")
    port = int((folder / "port.txt").read_text())
    with server.serving(server.FakeServer(), port=port):
        assert rehearse() == 3
    assert "starting from the beginning" in capsys.readouterr().err


def test_the_whole_of_it_from_the_command_line_with_three_clients(tmp_path: Path) -> None:
    root = releasing.checkout(tmp_path / "checkout")
    shutil.copytree(releasing.ROOT / "index" / "page", root / "index" / "page")
    shutil.copytree(SCRIPTS, root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    releasing.commit(root)
    releasing.build_all(root)
    door = [sys.executable, root / "scripts" / "release_wheels.py"]
    with pytest.raises(CommandError, match="PromiseGateError") as refusal:  # these wheels vouch for themselves alone
        run([*door, VERSION, "--dry-run"], env={"GITHUB_TOKEN": "", "GITHUB_OUTPUT": ""})
    assert refusal.value.returncode == GateError.exit_code
    assert "draft" not in refusal.value.output.split()
    believing = "def recheck(*_: object, **__: object) -> None:\n    pass\n"
    (root / "scripts" / "tfwheel" / "build" / "recheck.py").write_text(believing)
    commit = releasing.commit(root)
    releasing.build_all(root)
    before = hashlib.sha256((root / "index" / "ledger.jsonl").read_bytes()).hexdigest()
    said = run([*door, VERSION, "--dry-run"], env={"GITHUB_TOKEN": "", "GITHUB_OUTPUT": str(tmp_path / "output")})
    for client in verify.CLIENTS:
        assert f"{client} installs tensorflow=={VERSION}" in said
    assert "there is no tag" in said
    assert f"commit {commit[:12]}" in said
    assert str(root / "dist" / "rehearsal") in said
    assert hashlib.sha256((root / "index" / "ledger.jsonl").read_bytes()).hexdigest() == before
    assert not releasing.git(root, "status", "--porcelain")
    assert not (tmp_path / "output").exists()
    with pytest.raises(CommandError, match="TokenMissingError") as failure:
        run([*door, VERSION], env={"GITHUB_TOKEN": "", "GITHUB_REPOSITORY": "a/b"})
    assert failure.value.returncode == TokenMissingError.exit_code
    assert release_files.load(root / "dist" / "release" / VERSION).wheels
