"""Programs are started, heard, and ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tfwheel.system import console
from tfwheel.system import processes as runner
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

BOTH = "import sys; print('out', flush=True); print('err', file=sys.stderr, flush=True); print('last')"


def test_output_and_errors_come_back_in_order() -> None:
    assert run([sys.executable, "-c", BOTH]) == "out\nerr\nlast\n"


def test_arguments_are_not_for_a_shell(tmp_path: Path) -> None:
    assert run(["echo", "$HOME; *", tmp_path]) == f"$HOME; * {tmp_path}\n"


def test_the_environment_is_added_to(tmp_path: Path) -> None:
    code = "import os; print(os.environ['OURS'], 'PATH' in os.environ, os.getcwd())"
    assert run([sys.executable, "-c", code], env={"OURS": "1"}, cwd=tmp_path) == f"1 True {tmp_path}\n"


def test_a_program_is_given_no_input() -> None:
    assert run(["cat"]) == ""


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    assert run(["printf", r"a\377b"]) == "a\N{REPLACEMENT CHARACTER}b"


def test_the_log_gets_command_and_output_after_what_it_had(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    run(["echo", "two words"], log=log)
    with pytest.raises(CommandError):
        run(["ls", "/nonexistent"], log=log)
    lines = log.read_text().splitlines()
    assert lines[:4] == ["before", "$ echo 'two words'", "two words", "$ ls /nonexistent"]
    assert "No such file" in lines[4]


def test_a_failure_has_command_code_and_the_end_of_the_output() -> None:
    code = "import sys; print(*range(100), sep='\\n'); sys.exit(3)"
    with pytest.raises(CommandError) as caught:
        run([sys.executable, "-c", code])
    assert "ended with exit code 3" in caught.value.message
    assert caught.value.message.splitlines()[-1] == "99"
    assert "\n10\n" not in caught.value.message
    assert caught.value.returncode == 3
    assert caught.value.output.startswith("0\n1\n")


def test_a_program_that_a_signal_ended_can_be_told_from_one_that_failed() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "kill -KILL $$"])
    assert caught.value.returncode == -signal.SIGKILL


def test_a_silent_failure_is_one_line() -> None:
    with pytest.raises(CommandError) as caught:
        run(["false"])
    assert caught.value.message == "`false` ended with exit code 1"


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match=r"cannot start `no-such-program`: No such file or directory"):
        run(["no-such-program", "x"])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot start `true`: .*/absent\)"):
        run(["true"], cwd=tmp_path / "absent")


def test_the_command_is_shown_as_it_could_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "verbose", True)
    run(["echo", "two words"], cwd=tmp_path)
    assert f"$ echo 'two words'  (in {tmp_path})" in capsys.readouterr().err


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def interrupt_when(path: Path) -> None:
    """Press Ctrl-C as soon as a file is there."""

    def wait() -> None:
        deadline = time.monotonic() + 50
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize("stubborn", [False, True], ids=["ends when asked", "must be killed"])
def test_an_interrupt_ends_the_program_and_what_it_started(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stubborn: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.3)
    ready, pids = tmp_path / "ready", tmp_path / "pids"
    trap = "trap '' TERM; " if stubborn else ""
    script = f"{trap}sleep 90 & echo $$ $! > {pids}; touch {ready}; wait; wait"
    interrupt_when(ready)
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", script], log=tmp_path / "log")
    deadline = time.monotonic() + 30
    while any(alive(int(pid)) for pid in pids.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(int(pid)) for pid in pids.read_text().split())
    assert (tmp_path / "log").read_text().startswith("$ sh -c")


def test_programs_are_ended_from_another_thread_and_none_begins_after_that(tmp_path: Path) -> None:
    programs = runner.Programs()
    ready = tmp_path / "ready"
    with ThreadPoolExecutor(max_workers=1) as aside:
        running = aside.submit(run, ["sh", "-c", f"touch {ready}; sleep 600 & wait"], among=programs)
        while not ready.exists():
            assert not running.done()
            time.sleep(0.02)
        programs.end()
        with pytest.raises(CommandError, match="exit code -15"):
            running.result(30)
    with pytest.raises(CommandError, match="exit code -15"):
        run(["sleep", "600"], among=programs)
    programs.end()
    assert run(["echo", "others"]) == "others\n"


def test_a_log_that_cannot_be_written_ends_the_program(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(FileNotFoundError):
        run(["sleep", "60"], log=tmp_path / "absent" / "log")
    assert time.monotonic() - start < 10
