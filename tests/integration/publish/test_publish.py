"""Publishing for real: over HTTP, killed at every step and at any instant, eight at once, on full disks."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import assethost
from publications import TAG, finish, note, publication, state
from tfwheel.config import build_config, inputs, plan
from tfwheel.errors import FactoryError, PublishError
from tfwheel.index import ledger, manifest
from tfwheel.publish import admission, colab_gate, publish, verify
from tfwheel.publish.errors import ColabFitError, StoreError, VerifyError
from tfwheel.system.errors import CommandError, DiskFullError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from assethost import AssetHost
    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Target
    from tfwheel.publish.publication import Publication

SCRIPTS = Path(__file__).parents[3] / "scripts"
KILLS = int(os.environ.get("TFWHEEL_KILLS", "15"))  # at random instants; one of ten is followed by a real pip
CLEAN = {"assets", "ledger.jsonl", "site", ".site"}  # what a finished publication leaves, besides locks
STEPS = ["check", "upload", "begin", "list", "show", "verify", "end"]
# A server of processes that has imported everything: a publisher starts in milliseconds, and can be killed for real.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tfwheel.publish.publish", "publications", "assethost", "pytest"])


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Start the server of processes, so that no test measures its imports."""
    process = PROCESSES.Process(target=time.time)
    process.start()
    process.join()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[AssetHost]:
    """What the published site and its assets are served by."""
    with assethost.running(tmp_path / "live" / "site", tmp_path / "live" / "assets") as running:
        yield running


def job_of(host: AssetHost, folder: Path, builds: range) -> Publication:
    """A publication of new wheels to the host."""
    wheels = [finish(folder / "wheels", build) for build in builds]
    return publication(host.site.parent, wheels, assets=host.url("v1", ""), pages=host.pages)


# --- what a publisher does in a process of its own -------------------------------------------------------


def publish_alone(
    job: Publication,
    start: Connection,
    kill_at: str | None = None,
    bytes_per_file: int = 0,
    scratch: Path | None = None,
) -> None:
    """Publish, and die by SIGKILL before a step, where one is named."""
    tempfile.tempdir = str(scratch) if scratch else None  # as $TMPDIR
    if bytes_per_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_per_file, bytes_per_file))
    start.send(None)

    def on_step(step: str) -> None:
        if kill_at and step.startswith(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        publish.publish(job, on_step=on_step)
    except FactoryError as error:
        start.send((type(error), error.message))
        sys.exit(error.exit_code)


def child(job: Publication, **how: object) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """A publisher that has just begun."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=publish_alone, args=(job, there), kwargs=how)
    process.start()
    here.recv()
    return process, here


# --- the whole of it -------------------------------------------------------------------------------------


def test_the_index_is_good_before_and_after_every_step(host: AssetHost, tmp_path: Path) -> None:
    publish.publish(job_of(host, tmp_path, range(1)))
    seen: list[int] = []
    publish.publish(job_of(host, tmp_path, range(1, 3)), on_step=lambda _: seen.append(len(verify.verify(host.pages))))
    assert seen == [1, 1, 1, 1, 1, 1, 3, 3]


def is_for_colab(target: Target, settings: Config) -> bool:
    """Whether the gate lets a target's version pass, whatever this configuration builds."""
    try:
        colab_gate.check_targets([target], settings)
    except ColabFitError:
        return False
    return True


def test_a_version_that_breaks_every_runtime_of_colab_is_not_published(host: AssetHost, tmp_path: Path) -> None:
    settings = build_config.load()
    refused = [one for one in plan.targets(settings) if one.builder == "overlay" and not is_for_colab(one, settings)]
    for target in [one for one in refused if one.tensorflow == "2.21.0"][:1]:
        wheel = finish(tmp_path / "wheels", 1, target=target, inputs=inputs.digest(settings, target))
        words = ["--store", tmp_path / "assets", "--store-url", host.url("v1", ""), "--site", tmp_path / "site"]
        argv = [sys.executable, SCRIPTS / "publish_wheels.py", wheel, *words, "--ledger", tmp_path / "ledger.jsonl"]
        with pytest.raises(CommandError) as caught:
            run(argv)
        assert caught.value.returncode == ColabFitError.exit_code
        assert "requires tensorflow<2.21,>=2.20.0, and gets tensorflow 2.21.0." in caught.value.output
        assert not (tmp_path / "ledger.jsonl").exists()


def test_a_dry_run_and_then_the_run_itself_from_the_command_line(host: AssetHost, tmp_path: Path) -> None:
    settings = build_config.load()
    target = next(one for one in plan.targets(settings) if one.builder == "overlay" and is_for_colab(one, settings))
    wheel = finish(tmp_path / "wheels", 1, target=target, inputs=inputs.digest(settings, target))
    root = host.site.parent
    words = ["--store", root / "assets" / "v1", "--store-url", host.url("v1", ""), "--site", host.site]
    words += ["--ledger", root / "ledger.jsonl", "--base-url", host.pages, "--install", wheel.name]
    argv = [sys.executable, SCRIPTS / "publish_wheels.py", wheel, *words]
    said = run([*argv, "--dry-run"])
    assert f"upload {wheel.name} to {host.url('v1', wheel.name)}" in said
    assert not root.exists()
    said = run(argv)
    for client in verify.CLIENTS:
        assert f"{client} installs tensorflow=={target.version}" in said
    assert f"published {wheel.name} at" in said
    assert "nothing to do" not in run([*argv, "--dry-run"])  # it would verify again
    assert len(verify.verify(host.pages)) == 1
    ledger.yank(root / "ledger.jsonl", wheel.name, "broken")
    only = [sys.executable, SCRIPTS / "publish_wheels.py", "--render-only", *words[4:-2]]
    assert "the pages show the ledger" in run(only).replace("\n", " ")
    assert verify.verify(host.pages)[0].yanked == "broken"
    with pytest.raises(CommandError) as caught:
        run([*only, wheel])
    assert caught.value.returncode == 2


def test_an_asset_that_cannot_be_had_takes_the_publication_back(host: AssetHost, tmp_path: Path) -> None:
    publish.publish(job_of(host, tmp_path, range(1)))
    before = state(host.site.parent)
    job = job_of(host, tmp_path, range(1, 2))
    blob = f"/blob/v1/{job.wheels[0].name}"
    host.faults[blob] = 404
    with pytest.raises(VerifyError, match=r"cu125\.1.*404"):
        publish.publish(job)
    after = state(host.site.parent)
    assert {name: after[name] for name in before} == before
    del host.faults[blob]
    publish.publish(job)
    assert len(verify.verify(host.pages)) == 2


# --- kills -----------------------------------------------------------------------------------------------


class Arena:
    """One publication, the state before it, and the state that it leads to when nobody disturbs it."""

    def __init__(self, host: AssetHost, folder: Path) -> None:
        self.host, self.root, self.kept = host, host.site.parent, folder / "kept"
        publish.publish(job_of(host, folder, range(2)))
        self.old = ledger.read(self.root / "ledger.jsonl").entries
        shutil.copytree(self.root, self.kept, symlinks=True)
        self.job = job_of(host, folder, range(2, 5))
        process, _ = child(self.job)
        begun = time.perf_counter()
        process.join()
        self.seconds = time.perf_counter() - begun
        assert process.exitcode == 0
        self.wanted = state(self.root)

    def reset(self) -> None:
        """Put back the state before."""
        shutil.rmtree(self.root)
        shutil.copytree(self.kept, self.root, symlinks=True)

    def check_intact(self) -> int:
        """Nothing is lost, and every page, link, wheel and sidecar is good; returns how many wheels are shown."""
        entries = ledger.read(self.root / "ledger.jsonl").entries
        assert entries[: len(self.old)] == self.old
        told, shown_too = ((self.root / name).read_bytes() for name in ("ledger.jsonl", f"site/{manifest.LEDGER}"))
        assert told == shown_too or note(self.job).exists()  # between the two renames: the note has the next run go on
        shown = verify.verify(self.host.pages)
        assert shown in (self.old, ledger.parse(self.wanted["ledger.jsonl"], name="wanted").entries)
        return len(shown)

    def check_pip(self, folder: Path) -> None:
        """The wheels that are promised can be installed."""
        target = folder / "out"
        options = ["--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--target", target]
        index = f"{self.host.pages}cu12/"
        run([sys.executable, "-m", "pip", "install", *options, "--index-url", index, "tensorflow==2.20.0+cu125.1"])
        assert (target / "tensorflow" / "__init__.py").exists()
        shutil.rmtree(target)

    def check_rerun(self) -> None:
        """The same call ends where an undisturbed one does, and leaves nothing of the killed one about."""
        publish.publish(self.job)
        assert state(self.root) == self.wanted
        assert not note(self.job).exists()
        assert {path.name for path in self.root.iterdir() if not path.name.endswith(".lock")} == CLEAN
        trees = [path.name for path in (self.root / ".site").iterdir() if path.name.isdigit()]
        assert len(trees) == 2  # this one and the one before


@pytest.fixture(scope="module")
def made_arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """See Arena."""
    folder = tmp_path_factory.mktemp("arena")
    with assethost.running(folder / "live" / "site", folder / "live" / "assets") as running:
        yield Arena(running, folder)


@pytest.fixture
def arena(made_arena: Arena) -> Arena:
    """The arena in the state before; what is undisturbed is published once for all kills."""
    made_arena.reset()
    return made_arena


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_before_any_step_does_no_harm(step: str, arena: Arena, tmp_path: Path) -> None:
    process, _ = child(arena.job, kill_at=step)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    arena.check_intact()
    arena.check_pip(tmp_path)
    arena.check_rerun()


def test_a_kill_at_any_instant_does_no_harm(arena: Arena, tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311 -- instants, not secrets
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    runs = killed = shown_old = 0
    while killed < KILLS:  # a run that ends before its kill comes does not count
        arena.reset()
        process, _ = child(arena.job, scratch=scratch)
        time.sleep(arena.seconds * chance.random() ** 2)  # more of the early ones, where files are written
        process.kill()
        process.join()
        shown_old += arena.check_intact() == len(arena.old)
        if runs % 10 == 0:
            arena.check_pip(tmp_path)
        arena.check_rerun()
        killed += process.exitcode == -signal.SIGKILL
        runs += 1
    sys.stdout.write(f"{runs} runs of {arena.seconds:.2f} s, {killed} killed, {shown_old} showed the old index then\n")
    assert not list(scratch.iterdir())
    assert 0 < shown_old < runs


# --- many at once ----------------------------------------------------------------------------------------


def test_eight_publishers_of_fifty_wheels_at_once_lose_nothing(host: AssetHost, tmp_path: Path) -> None:
    jobs = [job_of(host, tmp_path / str(number), range(50 * number, 50 * number + 50)) for number in range(8)]
    begun = time.perf_counter()
    processes = [child(job)[0] for job in jobs]
    for process in processes:
        process.join()
    sys.stdout.write(f"8 publishers, 50 wheels each: {time.perf_counter() - begun:.1f} s\n")
    assert [process.exitcode for process in processes] == [0] * 8
    assert len((host.site.parent / "ledger.jsonl").read_bytes().splitlines()) == 400
    assert len(verify.verify(host.pages)) == 400
    assert manifest.check(host.site) > 3


# --- full disks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("room", "error", "what"), [(100, StoreError, r"\.metadata"), (8000, PublishError, "ledger")])
def test_a_disk_that_fills_up_is_said_and_nothing_is_half_done(
    room: int, error: type[FactoryError], what: str, host: AssetHost, tmp_path: Path
) -> None:
    publish.publish(job_of(host, tmp_path, range(1)))
    before = state(host.site.parent)
    job = job_of(host, tmp_path, range(1, 16))
    process, answers = child(job, bytes_per_file=room)
    process.join()
    kind, message = answers.recv()
    assert kind is error
    assert re.search(what, message)
    assert process.exitcode == error.exit_code
    after = state(host.site.parent)
    assert {name: after[name] for name in before} == before
    assert len(verify.verify(host.pages)) == 1
    publish.publish(job)
    assert len(verify.verify(host.pages)) == 16


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder])
    except CommandError as error:
        pytest.skip(
            f"`sudo nox -s tests -- tests/integration/publish`: only root can mount a disk ({error.returncode})"
        )
    yield folder
    run(["umount", "-l", folder])


def fill(folder: Path, leaving: int) -> None:
    """Fill a disk but for so many bytes."""
    (folder / "ballast").unlink(missing_ok=True)
    room = shutil.disk_usage(folder).free - leaving
    (folder / "ballast").write_bytes(bytes(max(0, room)))


def test_ledger_and_pages_stay_as_they_were_with_no_byte_free(small_disk: Path, tmp_path: Path) -> None:
    """Fill the disk at every step, and at every page of 4 KiB while ledger and pages are written."""
    with assethost.running(small_disk / "live" / "site", small_disk / "live" / "assets") as host:
        publish.publish(job_of(host, tmp_path, range(2)))
        job = job_of(host, tmp_path, range(2, 4))
        for wheel in job.wheels:  # they are stored: what is tested is the ledger and the pages
            publish._upload(job.store, wheel, entry_of(job, wheel))
        before = state(small_disk / "live")
        refused = done = 0
        for pages in range(60):

            def full(step: str, pages: int = pages) -> None:
                if step == "list":
                    fill(small_disk, pages * 4096)

            try:
                publish.publish(job, on_step=full)
            except (DiskFullError, PublishError):
                refused += 1
                assert state(small_disk / "live") == before
                assert not note(job).exists()
                assert len(verify.verify(host.pages)) == 2
            else:
                done += 1
                break
            finally:
                (small_disk / "ballast").unlink(missing_ok=True)
        assert refused > 3
        assert done == 1
        assert len(verify.verify(host.pages)) == 4


def test_a_bad_index_is_taken_back_with_no_byte_free(small_disk: Path, tmp_path: Path) -> None:
    with assethost.running(small_disk / "live" / "site", small_disk / "live" / "assets") as host:
        publish.publish(job_of(host, tmp_path, range(1)))
        before = state(small_disk / "live")
        job = job_of(host, tmp_path, range(1, 2))
        host.faults[f"/blob/v1/{job.wheels[0].name}"] = 404

        def full(step: str) -> None:
            if step == "verify":
                fill(small_disk, 0)
                with pytest.raises(OSError, match="space"):
                    (small_disk / "more").write_bytes(bytes(4096))

        with pytest.raises(VerifyError, match="404") as caught:
            publish.publish(job, on_step=full)
        assert "as they were before" in caught.value.remedy
        after = state(small_disk / "live")
        assert {name: after[name] for name in before} == before
        assert not note(job).exists()
        (small_disk / "ballast").unlink()
        other = job_of(host, tmp_path, range(2, 3))
        publish.publish(other)  # a later run does not publish what failed
        assert {entry.file for entry in verify.verify(host.pages)} == {
            f"tensorflow-2.20.0+cu125.{build}-{TAG}.whl" for build in (0, 2)
        }


def entry_of(job: Publication, wheel: Path) -> ledger.LedgerEntry:
    """The entry of one wheel."""
    return next(entry for entry in admission.check(job, admission.renderer(job)) if entry.file == wheel.name)
