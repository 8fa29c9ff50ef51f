"""Temporary folders vanish with their process, however it ends, and never while it lives: with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tfwheel.config.paths import ROOT
from tfwheel.system import cache_cleaning, scratch
from tfwheel.system.errors import UnsafeFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Fills a temporary folder, starts a program that would write there for a minute, and says that it is ready. It waits in
# short sleeps: Python only notes a signal that comes just before a system call, and acts on it when that call is over.
OWNER = """
import sys, threading, time
from pathlib import Path
from tfwheel.system import kept_folders, processes, scratch
with scratch.folder("test") as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "large").write_bytes(bytes(1 << 20))
    (folder / "deep").chmod(0o500)
    if len(sys.argv) > 1:
        print(kept_folders.use(Path(sys.argv[1], "bases", "used"), cache=Path(sys.argv[1]), kept=Path.is_dir))
    words = ["sh", "-c", "echo $$ > pid; sleep 60; touch late"]
    threading.Thread(target=processes.run, args=(words,), kwargs={"cwd": folder}, daemon=True).start()
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        time.sleep(0.01)
    print((folder / "pid").read_text().strip(), flush=True)
    while True:
        time.sleep(0.05)
"""


class Owner:
    """A process that has a temporary folder, and the program that it runs."""

    def __init__(self, temporary: Path, *words: str | Path) -> None:
        environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT / "scripts")}
        argv = [sys.executable, "-c", OWNER, *map(str, words)]
        self.process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
        self.said = [self.process.stdout.readline().strip() for _ in range(2 if words else 1)]
        self.program = int(self.said[-1])

    def end(self, number: int) -> None:
        """Send a signal and wait."""
        self.process.send_signal(number)
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place for temporary folders, the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return scratch.place()


@pytest.fixture
def owners() -> Iterator[list[Owner]]:
    """Processes that are ended with the test."""
    found: list[Owner] = []
    yield found
    for owner in found:
        if owner.process.poll() is None:
            owner.end(signal.SIGKILL)


def folders(place: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in place.glob("*-*"))


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(
    place: Path, owners: list[Owner], capsys: pytest.CaptureFixture[str]
) -> None:
    owners += [Owner(place.parent), Owner(place.parent)]
    killed, living = owners
    killed.end(signal.SIGKILL)
    assert len(folders(place)) == 2
    assert scratch.sweep(place) >= 1 << 20
    assert folders(place) == [str(living.process.pid)]
    assert f"removed 1.1 MB that a killed run left in {place}" in capsys.readouterr().err
    assert scratch._programs_of(next(place.glob("*-*")))  # the living one's
    assert os.path.exists(f"/proc/{living.program}")  # noqa: PTH110 -- as the kernel says it
    assert scratch.sweep(place) == 0
    living.end(signal.SIGKILL)
    assert scratch.sweep(place) >= 1 << 20
    assert folders(place) == []
    assert not os.path.exists(f"/proc/{living.program}") or _is_zombie(living.program)  # noqa: PTH110


def _is_zombie(number: int) -> bool:
    with open(f"/proc/{number}/stat") as stream:  # noqa: PTH123
        return stream.read().rpartition(")")[2].split()[0] == "Z"


def test_a_process_that_ends_takes_its_folder_along(place: Path, owners: list[Owner]) -> None:
    owners.append(Owner(place.parent))
    owners[0].end(signal.SIGINT)
    assert folders(place) == []


def test_two_that_sweep_at_once_and_one_that_comes_meanwhile_leave_the_living(place: Path, owners: list[Owner]) -> None:
    owners += [Owner(place.parent) for _ in range(2)]
    owners[0].end(signal.SIGKILL)
    program = "import pathlib, sys; from tfwheel.system import scratch; scratch.sweep(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    sweepers = [subprocess.Popen([sys.executable, "-c", program, place], env=environment) for _ in range(3)]
    owners.append(Owner(place.parent))
    assert [one.wait(20) for one in sweepers] == [0, 0, 0]
    assert folders(place) == sorted(str(one.process.pid) for one in owners[1:])


@pytest.mark.parametrize("attack", ["link", "open", "file"])
def test_a_place_that_others_can_change_is_refused(place: Path, tmp_path: Path, attack: str) -> None:
    place.parent.mkdir()
    target = tmp_path / "target"
    target.mkdir()
    if attack == "link":
        place.symlink_to(target)
    elif attack == "open":
        place.mkdir()
        place.chmod(0o777)
    else:
        place.touch()
    with pytest.raises(UnsafeFolderError, match="others can change"), scratch.folder("x"):
        pass
    assert scratch.sweep(place) == 0 or attack == "open"
    assert list(target.iterdir()) == []


def test_a_folder_beside_a_path_is_removed_by_the_next_call_for_that_path(tmp_path: Path) -> None:
    left = tmp_path / ".copy.scratch-dead"
    (left / "half").mkdir(parents=True)
    os.utime(left, (0, 0))
    with scratch.beside(tmp_path / "copy") as first, scratch.beside(tmp_path / "copy") as second:
        assert not left.exists()
        assert first.is_dir()
        assert second.is_dir()
    assert list(tmp_path.iterdir()) == []


# --- the cache -------------------------------------------------------------------------------------------


def old(cache: Path, name: str, days: int) -> Path:
    """A thing of a megabyte in a cache, last used so many days ago."""
    path = cache / "bases" / name
    path.mkdir(parents=True)
    (path / "x.whl").write_bytes(bytes(1 << 20))
    then = time.time() - days * cache_cleaning.DAY_S - 60
    for one in (path / "x.whl", path):
        os.utime(one, (then, then))
    return path


def test_a_cache_loses_what_was_not_used_and_never_what_a_living_process_uses(
    place: Path, tmp_path: Path, owners: list[Owner], capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache" / "tfwheel"
    used, unused, recent = old(cache, "used", 40), old(cache, "unused", 40), old(cache, "recent", 3)
    cache_cleaning.clean(cache, days=None)
    assert "nothing was removed" in capsys.readouterr().err
    owners.append(Owner(place.parent, cache))
    assert owners[0].said[0] == "True"
    cache_cleaning.clean(cache, days=30)
    assert (used.exists(), unused.exists(), recent.exists()) == (True, False, True)
    assert (
        "not used for 30 days: 1 file or folder (1.1 MB); kept 2 files and folders (2.1 MB)" in capsys.readouterr().err
    )
    cache_cleaning.clean(cache, days=0)
    assert (used.exists(), recent.exists()) == (True, False)
    assert "kept 1 file or folder (1.1 MB), 1 of them for running programs" in capsys.readouterr().err
    owners[0].end(signal.SIGKILL)
    cache_cleaning.clean(cache, days=0)
    assert "1 file or folder (1.1 MB); kept nothing\n" in capsys.readouterr().err
    assert not used.exists()
