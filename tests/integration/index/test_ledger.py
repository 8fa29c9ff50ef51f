"""Ledger: many processes at once, a killed one, and real git with two branches of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from ledgers import entry
from tfwheel.errors import UsageError
from tfwheel.index import ledger, ledger_history
from tfwheel.index.errors import LedgerDamagedError, LedgerHistoryError, NameTakenError
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tfwheel.index.ledger_entry import LedgerEntry

ROOT = Path(__file__).parents[3]
DOOR = [sys.executable, ROOT / "scripts" / "edit_ledger.py"]
DRIVER = f"{sys.executable} {ROOT}/scripts/edit_ledger.py merge-driver %O %A %B"
NAME = "ledger.jsonl"


def program(code: str, *words: str) -> subprocess.Popen[str]:
    """A process of its own that appends to a ledger."""
    paths = os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests" / "support")])
    start = "import sys\nfrom pathlib import Path\nfrom ledgers import entry\nfrom tfwheel.index import ledger\n"
    argv = [sys.executable, "-c", start + code, *words]
    return subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True)


# --- many at once ----------------------------------------------------------------------------------------


def test_eight_publishers_of_fifty_wheels_each_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / NAME
    code = "for number in range(50):\n    ledger.append(Path(sys.argv[1]), [entry(number * 8 + int(sys.argv[2]))])\n"
    publishers = [program(code, str(path), str(number)) for number in range(8)]
    assert [publisher.communicate() and publisher.returncode for publisher in publishers] == [0] * 8
    assert list(ledger.read(path).entries) == [entry(number) for number in range(400)]


def test_a_publisher_killed_at_any_instant_leaves_a_valid_ledger_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / NAME
    code = (
        "for number in range(100000):\n    ledger.append(Path(sys.argv[1]), [entry(number)]); print(number, flush=True)"
    )
    told = -1
    for turn in range(10):
        publisher = program(code, str(path))
        assert publisher.stdout
        with publisher.stdout as lines:
            lines.readline()
            time.sleep(0.01 + turn * 0.007)
            publisher.send_signal(signal.SIGKILL)
            publisher.wait(10)
            told = max([told, *(int(line) for line in lines if line.endswith("\n"))])
        assert len(ledger.read(path).entries) > told
    ledger.append(path, [entry(99_999)])


# --- git -------------------------------------------------------------------------------------------------


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository whose ledger has one file; two branches, `left` (checked out) and `right`, start from there."""
    (tmp_path / "index").mkdir()
    (tmp_path / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    for words in ("init -q -b left", "config user.email t@example.org", "config user.name t"):
        run(["git", "-C", tmp_path, *words.split()])
    ledger.append(tmp_path / "index" / NAME, [entry(1)])
    commit(tmp_path)
    run(["git", "-C", tmp_path, "branch", "right"])
    return tmp_path


def commit(repo: Path) -> None:
    """Commit everything but lock files."""
    run(["git", "-C", repo, "add", ".gitattributes", f"index/{NAME}"])
    run(["git", "-C", repo, "commit", "-q", "-m", "x"])


def on_both(repo: Path, left: Callable[[Path], object], right: Callable[[Path], object]) -> Path:
    """Change the ledger on each branch; `left` is checked out in the end. Returns the ledger."""
    path = repo / "index" / NAME
    for branch, change in (("right", right), ("left", left)):
        run(["git", "-C", repo, "checkout", "-q", branch])
        change(path)
        commit(repo)
    return path


def adding(*entries: LedgerEntry) -> Callable[[Path], object]:
    """A change that appends."""
    return lambda path: ledger.append(path, entries)


def merge(repo: Path) -> bool:
    """Whether git merges `right` without a conflict."""
    try:
        run(["git", "-C", repo, "merge", "-q", "--no-edit", "right"])
    except CommandError as error:
        if "CONFLICT" in error.output:
            return False
        raise
    return True


def use_driver(repo: Path) -> None:
    """Tell git how ledgers are merged, as .gitattributes says."""
    run(["git", "-C", repo, "config", "merge.ledger.driver", DRIVER])


def files(entries: Iterable[LedgerEntry]) -> list[str]:
    """Their names."""
    return [entry.file for entry in entries]


def test_two_branches_that_append_conflict_and_the_command_joins_them(repo: Path) -> None:
    path = on_both(repo, adding(entry(3), entry(4)), adding(entry(2), entry(5)))
    assert not merge(repo)
    with pytest.raises(LedgerDamagedError, match="two branches were not merged"):
        ledger_history.check(path)
    run([*DOOR, "--ledger", path, "merge"])
    assert list(ledger.read(path).entries) == [entry(number) for number in range(1, 6)]
    commit(repo)
    run([*DOOR, "--ledger", path, "check"])


@pytest.mark.parametrize("driver", [True, False])
def test_two_branches_that_both_begin_the_ledger_are_joined(repo: Path, *, driver: bool) -> None:
    path = repo / "index" / NAME
    run(["git", "-C", repo, "rm", "-q", "--cached", f"index/{NAME}"])
    run(["git", "-C", repo, "commit", "-q", "--amend", "-m", "none yet"])
    run(["git", "-C", repo, "branch", "-f", "right"])
    path.unlink()
    if driver:
        use_driver(repo)
    on_both(repo, adding(entry(1)), adding(entry(2)))
    if not merge(repo):
        ledger_history.merge_conflicted(path)
    assert list(ledger_history.check(path).entries) == [entry(1), entry(2)]


def test_with_the_driver_git_joins_them_alone(repo: Path) -> None:
    use_driver(repo)
    path = on_both(repo, adding(entry(3), entry(4)), adding(entry(2), entry(5)))
    assert merge(repo)
    assert list(ledger_history.check(path).entries) == [entry(number) for number in range(1, 6)]
    assert not list(repo.glob(".merge*"))


def test_with_the_driver_a_publisher_may_rebase(repo: Path) -> None:
    use_driver(repo)
    path = on_both(repo, adding(entry(3)), adding(entry(2)))
    run(["git", "-C", repo, "rebase", "-q", "right"])
    assert files(ledger_history.check(path).entries) == files(map(entry, (1, 2, 3)))


def test_a_yank_on_one_branch_survives_an_append_on_the_other(repo: Path) -> None:
    use_driver(repo)
    path = on_both(repo, adding(entry(2)), lambda path: ledger.yank(path, entry(1).file, "bad"))
    assert merge(repo)
    assert list(ledger_history.check(path).entries) == [replace(entry(1), yanked="bad"), entry(2)]


@pytest.mark.parametrize("driver", [True, False])
def test_one_name_for_two_files_is_a_conflict_that_drops_neither(repo: Path, *, driver: bool) -> None:
    if driver:
        use_driver(repo)
    other = replace(entry(2), sha256="0" * 64)
    path = on_both(repo, adding(entry(2)), adding(other))
    assert not merge(repo)
    text = path.read_text()
    assert entry(2).sha256 in text
    assert other.sha256 in text
    with pytest.raises(LedgerDamagedError, match="not merged"):
        ledger_history.check(path)
    with pytest.raises(NameTakenError, match="is the name of two files"):
        ledger_history.merge_conflicted(path)
    assert path.read_text() == text


def test_two_files_of_one_name_that_git_merges_as_text_are_found(repo: Path) -> None:
    numbers = range(10, 30)
    path = on_both(repo, adding(*map(entry, numbers)), adding(*map(entry, numbers)))
    merge(repo)
    early, late = (
        replace(entry(5), sha256=digit * 64, uploaded=time)
        for digit, time in (("1", entry(5).uploaded), ("2", entry(40).uploaded))
    )
    run(["git", "-C", repo, "branch", "-f", "right"])
    on_both(repo, adding(early), adding(late))
    assert merge(repo)
    with pytest.raises(NameTakenError, match="twice"):
        ledger_history.check(path)


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("side", ["--ours", "--theirs"])
def test_a_merge_that_dropped_a_side_is_found(repo: Path, side: str, *, committed: bool) -> None:
    path = on_both(repo, adding(entry(3)), adding(entry(2)))
    assert not merge(repo)
    run(["git", "-C", repo, "checkout", side, f"index/{NAME}"])
    if committed:
        commit(repo)
    with pytest.raises(LedgerHistoryError, match="vanished"):
        ledger_history.check(path)


def test_a_line_that_was_deleted_is_found_before_and_after_the_commit(repo: Path) -> None:
    path = repo / "index" / NAME
    ledger.append(path, [entry(2)])
    commit(repo)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    for _ in range(2):
        with pytest.raises(LedgerHistoryError, match="vanished"):
            ledger_history.check(path)
        with pytest.raises(CommandError) as failure:
            run([*DOOR, "--ledger", path, "check"])
        assert failure.value.returncode == LedgerHistoryError.exit_code
        run(["git", "-C", repo, "commit", "-q", "--allow-empty", "-a", "-m", "x"])


def test_a_commit_that_does_not_exist_is_not_an_empty_ledger(repo: Path) -> None:
    with pytest.raises(CommandError, match="no-such-branch"):
        ledger_history.check(repo / "index" / NAME, since=["no-such-branch"])


def test_an_older_state_can_be_named(repo: Path) -> None:
    path = on_both(repo, adding(entry(3)), adding(entry(2)))
    with pytest.raises(LedgerHistoryError, match="vanished"):
        ledger_history.check(path, since=["right"])
    ledger_history.check(path, since=["HEAD", "HEAD^"])


def test_without_git_or_a_commit_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    ledger.append(tmp_path / NAME, [entry(1)])
    assert ledger_history.check(tmp_path / NAME).entries == (entry(1),)
    run(["git", "init", "-q", tmp_path])
    assert ledger_history.check(tmp_path / NAME).entries == (entry(1),)


def test_merge_without_a_conflict_says_so_and_changes_nothing(repo: Path) -> None:
    with pytest.raises(UsageError, match="reports no conflict"):
        ledger_history.merge_conflicted(repo / "index" / NAME)


def test_the_door_yanks_takes_back_and_removes(tmp_path: Path) -> None:
    path, file = tmp_path / NAME, entry(1).file
    ledger.append(path, [entry(1)])
    for words, yanked in ((["yank", file, "--reason", "bad"], "bad"), (["unyank", file], None), (["yank", file], "")):
        run([*DOOR, "--ledger", path, *words])
        assert ledger.read(path).entries[0].yanked == yanked
    run([*DOOR, "--ledger", path, "remove", file, "--reason", "deleted"])
    assert ledger.read(path).entries[0].removed == "deleted"


def refused(path: Path, *words: str | bytes) -> str:
    """What the door says to words that it must refuse; it never ends in a bug."""
    ended = subprocess.run([*DOOR, "--ledger", path, *words], capture_output=True, check=False)
    said = ended.stderr.decode(errors="replace")
    assert ended.returncode not in (0, 1, 90), said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("words", [["check"], ["merge"], ["yank", "x.whl"], ["remove", "x.whl", "--reason", "gone"]])
def test_a_ledger_that_is_not_there_is_an_error_and_none_is_made(tmp_path: Path, words: list[str]) -> None:
    assert "there is no ledger" in refused(tmp_path / "nowhere" / "ledger.jsonl", *words)
    if words != ["merge"]:
        assert not list(tmp_path.rglob("*.jsonl"))


@pytest.mark.parametrize("verb", ["check", "merge", "yank x", "unyank x", "remove x --reason gone"])
def test_a_folder_is_no_ledger(tmp_path: Path, verb: str) -> None:
    assert "LedgerAccessError" in refused(tmp_path, *verb.split())


def test_outside_git_there_is_nothing_to_merge(tmp_path: Path) -> None:
    said = refused(tmp_path / NAME, "merge")
    assert "git does not know" in said
    assert "UsageError" in said


def test_the_remedy_names_the_file_that_was_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.bin"
    bad.write_bytes(b"\xff\x00")
    said = refused(bad, "check")
    assert "bad.bin" in said
    assert "index/ledger.jsonl" not in said


@pytest.mark.parametrize("words", [["yank", b"\xff.whl"], ["yank", entry(1).file, "--reason", b"\xff"]])
def test_odd_bytes_are_no_bug(tmp_path: Path, words: list[str | bytes]) -> None:
    ledger.append(tmp_path / NAME, [entry(1)])
    refused(tmp_path / NAME, *words)
    assert ledger.read(tmp_path / NAME).entries == (entry(1),)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "LedgerAccessError" in refused(tmp_path / "file" / NAME, "yank", "x.whl")
    path = tmp_path / NAME
    ledger.append(path, [entry(1)])
    path.with_name(f".{NAME}.lock").unlink(missing_ok=True)
    path.with_name(f".{NAME}.lock").mkdir()
    assert "LedgerAccessError" in refused(path, "yank", entry(1).file)
