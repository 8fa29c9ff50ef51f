"""Every door meets bad states of the machine with an error of its own: never "this is a bug", never success."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tfwheel.config.paths import ROOT
from tfwheel.errors import UnexpectedError
from tfwheel.system.errors import DiskFullError, FileAccessError

if TYPE_CHECKING:
    from pathlib import Path

TARGET = "tf2.20.0-cp312-cu12"
PRINTS = ["plan_matrix"]
CI = ["plan_matrix", "--event", "push", "--github-output"]
FILE = FileAccessError.exit_code
# The words of a door, its environment (`{tmp}` is a folder of the test), and the exit code.
TABLE: dict[str, tuple[list[str], dict[str, str], int]] = {
    "no such option": ([*PRINTS, "--nope"], {}, 2),
    "an output of CI in a folder": (CI, {"GITHUB_OUTPUT": "{tmp}"}, FILE),
    "an output of CI that is nowhere": (CI, {"GITHUB_OUTPUT": "{tmp}/no/output"}, FILE),
    "an output of CI on a full disk": (CI, {"GITHUB_OUTPUT": "/dev/full"}, DiskFullError.exit_code),
    "a target that is none": (["build_wheel", "tf9"], {}, 11),
    "no target": (["smoke_test", ""], {}, 11),
    "an ops target that is none": (["build_ops_container", "tf9"], {}, 11),
    "a cache below a file": (["setup_toolchain", "cu12"], {"XDG_CACHE_HOME": "{tmp}/file"}, FILE),
    "a place for scratch below a file": (["setup_toolchain", "cu12"], {"TMPDIR": "{tmp}/file", "PATH": "{tmp}"}, 30),
    "a compiler that fails": (["setup_toolchain", "cpu"], {"CXX": "/bin/false"}, 30),
    "a compiler that is a folder": (["setup_toolchain", "cpu"], {"CXX": "/"}, 30),
    "a line that is none": (["setup_toolchain", "cu99"], {}, 11),
    "records from nowhere": (["write_summary", "--from", "{tmp}/nope"], {}, 11),
    "a matrix that is none": (["write_summary", "--expect", "{{"], {}, 11),
    "a size of nothing": (["bench_index", "--sizes", "0"], {}, 2),
    "a size that does not divide": (["bench_index", "--sizes", "7"], {}, 11),
    "no runs": (["bench_index", "--runs", "0"], {}, 2),
    "no runs of the merge": (["run_bench", "--runs", "0"], {}, 2),
    "days that are no number": (["clean_cache", "--days", "-1"], {}, 2),
    "a cache that is a file": (["clean_cache", "--days", "0"], {"XDG_CACHE_HOME": "{tmp}/file"}, FILE),
    "a workflow that is a folder": (["rehearse_workflow", "."], {}, 87),
    "a runtime from nowhere": (["watch_runtimes", "--from", "{tmp}/nope"], {}, 11),
    "runtimes without anything to compare": (["watch_runtimes"], {}, 11),
    "wheels that are none": (["check_fit", "bought"], {}, 2),
    "a wheel that is a folder": (["verify_attestation", "{tmp}", "--bundle", "{tmp}", "--repo", "a/b"], {}, 121),
    "an event without a name": (["plan_matrix", "--event", ""], {}, 2),
    "changes since no commit": (["plan_matrix", "--event", "push", "--changed-since", ""], {}, 2),
    "changes since before a first push": (["plan_matrix", "--event", "push", "--changed-since", "0" * 40], {}, 11),
    "sums of nothing": (["release_wheels", "2.20.0+cu125.3", "--only", "confirm", "--sums", ""], {}, 2),
    "a store at no URL": (["publish_wheels", "--render-only", "--dry-run", "--store-url", "ftp://x/"], {}, 11),
    "a ledger that is the root": (["edit_ledger", "--ledger", "/", "merge"], {}, 2),
    "a ledger without a name": (["edit_ledger", "--ledger", "", "yank", "x"], {}, 2),
    "a site that is the root": (["publish_wheels", "--render-only", "--dry-run", "--site", "/"], {}, 2),
    "patience without an end": (["publish_wheels", "--render-only", "--dry-run", "--patience", "nan"], {}, 2),
    "a change of nothing": (
        ["propose_change", "{tmp}/nope", "--branch", "b", "--title", "t"],
        {"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": ""},
        119,
    ),
}


NAMED = {
    "a cache that is a file": ["XDG_CACHE_HOME"],
    "a cache below a file": ["XDG_CACHE_HOME", "file/tfwheel"],
    "a compiler that fails": ["/bin/false is no compiler that runs"],
    "runtimes without anything to compare": ["neither --from nor --pypi is given"],
    "wheels that are none": ["argument WHICH: invalid choice: 'bought'"],
    "a store at no URL": ["--store-url cannot be the URL of a folder"],
    "changes since no commit": ["--changed-since: it is empty"],
    "an output of CI in a folder": ["$GITHUB_OUTPUT"],
}


def started(words: list[str], tmp: Path, environment: dict[str, str], **options: object) -> subprocess.Popen[str]:
    """Start a door in a clean folder."""
    door, *rest = (word.replace("{tmp}", str(tmp)) for word in words)
    given = {name: value.replace("{tmp}", str(tmp)) for name, value in environment.items()}
    own = {**os.environ, "XDG_CACHE_HOME": str(tmp / "cache"), "PYTHONUNBUFFERED": ""} | given
    argv = [sys.executable, ROOT / "scripts" / f"{door}.py", *rest]
    return subprocess.Popen(argv, env=own, cwd=tmp, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def ended(words: list[str], tmp: Path, environment: dict[str, str]) -> tuple[int, str]:
    process = started(words, tmp, environment, stdout=subprocess.DEVNULL)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


@pytest.mark.parametrize("name", TABLE)
def test_each_bad_state_has_its_exit_code(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    words, environment, code = TABLE[name]
    door, *rest = (word.replace("{tmp}", str(tmp_path)) for word in words)
    path = ROOT / "scripts" / f"{door}.py"
    for variable, value in ({"XDG_CACHE_HOME": "{tmp}/cache"} | environment).items():
        monkeypatch.setenv(variable, value.replace("{tmp}", str(tmp_path)))
    monkeypatch.setattr(sys, "argv", [str(path), *rest])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().err
    assert caught.value.code == code, said
    assert code not in (0, UnexpectedError.exit_code)
    for word in NAMED.get(name, ()):
        assert word in said


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"HOME": ""}])
def test_an_odd_environment_is_no_error(tmp_path: Path, environment: dict[str, str]) -> None:
    assert ended(PRINTS, tmp_path, environment)[0] == 0


def test_a_name_that_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    code, said = ended(["smoke_test", "tf\udcff"], tmp_path, {})
    assert code == 11
    assert r"there is no target `tf\udcff`" in said


def test_an_output_that_nobody_reads_ends_the_door_without_a_word(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = started(PRINTS, tmp_path, {}, stdout=writing)
    os.close(writing)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full_is_an_error(tmp_path: Path, unbuffered: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = started(PRINTS, tmp_path, {"PYTHONUNBUFFERED": unbuffered}, stdout=full)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == DiskFullError.exit_code != UnexpectedError.exit_code
    assert "no space left while writing the output" in said


def test_an_output_that_is_closed_is_an_error(tmp_path: Path) -> None:
    argv = ["sh", "-c", '"$0" "$1" >&-', sys.executable, str(ROOT / "scripts" / "plan_matrix.py")]
    done = subprocess.run(argv, cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "bad file descriptor" in done.stderr) == (FILE, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_programs_of_all_threads(tmp_path: Path, number: int) -> None:
    (tmp_path / "door.py").write_text(DOOR)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    argv = [sys.executable, tmp_path / "door.py"]
    process = subprocess.Popen(argv, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "ready").exists():
        time.sleep(0.02)
    start = time.monotonic()
    process.send_signal(number)
    said = process.communicate(timeout=50)[1]
    assert process.returncode == 130
    assert "interrupted" in said
    assert time.monotonic() - start < 10


# Waits for a program in another thread, as a build does.
DOOR = """
import argparse, sys
from concurrent.futures import ThreadPoolExecutor
from tfwheel import cli
from tfwheel.system.processes import run

def main(_):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run, ["sh", "-c", "touch ready; sleep 60"]).result()

sys.exit(cli.enter(argparse.ArgumentParser(), main))
"""
