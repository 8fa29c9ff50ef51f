from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import pagedata
from tfwheel.colab import runtimes
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_snapshots_are_read_whole() -> None:
    found = {runtime.name: (runtime.python_minor, runtime.tensorflow) for runtime in pagedata.RUNTIMES}
    assert found == {
        "2026.08": ("3.13", "2.20.0"),
        "2026.07": ("3.12", "2.20.0"),
        "2026.04": ("3.12", "2.19.0"),
        "2026.01": ("3.12", "2.19.0"),
        "2025.10": ("3.12", "2.19.0"),
        "2025.07": ("3.11", "2.18.0"),
    }
    system = {one.name: (one.glibc, one.cuda, one.cudnn["apt"], one.cudnn["pip"]) for one in pagedata.RUNTIMES}
    assert system == {
        "2026.08": ("2.35", "12.8", "9.8.0", "9.19.0.56"),
        "2026.07": ("2.35", "12.8", "9.8.0", "9.19.0.56"),
        "2026.04": ("2.35", "12.8", "9.8.0", "9.10.2.21"),
        "2026.01": ("2.35", "12.5", "9.2.1", "9.10.2.21"),
        "2025.10": ("2.35", "12.5", "9.2.1", "9.10.2.21"),
        "2025.07": ("2.35", "12.5", "9.2.1", "9.3.0.75"),
    }
    assert [one.name for one in pagedata.RUNTIMES if one.newest] == ["2026.08"]
    newest = pagedata.RUNTIMES[0]
    assert len(newest.pins) == 697
    assert newest.version_of("TF.Keras") == "2.20.1"
    assert newest.version_of("not-there") is None
    assert (newest.installed["cucim-cu12"], newest.version_of("cucim-cu12")) == ("26.2.1", None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[runtime]]\nname = 'x'\n",
        "[[runtime]]\nname = 'x'\npython = '3.12.1'\nfreeze = 'gone.txt'\n",
        "runtime = 1",
        "[[runtime]]\nname = '../../x'\npython = '3.12.1'\nfreeze = 'f.txt'\n",
        "[[runtime]]\nname = 'x'\npython = 3.12\nfreeze = 'f.txt'\n",
        "[[runtime]]\nname = 'x'\npython = '3.12.1'\nfreeze = '../f.txt'\n",
        "[[runtime]]\nname = 'x'\npython = '3.12.1'\nfreeze = 'f.txt'\n" * 2,
        "[[",
        "[[runtime]]\nname = 'x'\npython = '3.12.1'\ndate = '2026-99-99'\nfreeze = 'f.txt'\n",
    ],
)
def test_a_list_of_runtimes_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "runtimes.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"runtimes\.toml|gone\.txt is missing"):
        runtimes.load(tmp_path)


ENTRY = "[[runtime]]\nname = 'x'\npython = '3.12.1'\n"
SNAPSHOT = {"format": 1, "date": "2026-11-01", "python": "3.12.1", "distributions": {"numpy": {"version": "2"}}}


def written(folder: Path, entry: str, **files: str) -> Path:
    (folder / "runtimes.toml").write_text(entry, encoding="utf-8")
    for name, text in {"f": "numpy==2\n", "o": "Ubuntu 24.04\nPython 3.12.1\n", **files}.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_what_a_file_says_and_what_is_stated_are_joined(tmp_path: Path) -> None:
    stated = "freeze = 'f.txt'\nos_info = 'o.txt'\ncuda = '12.8'\ncudnn = '9.8.0'\ndriver = '580.82.07'\nlive = false\n"
    (found,) = runtimes.load(written(tmp_path, ENTRY + stated))
    assert (found.glibc, found.cuda, found.cudnn, found.driver, found.live, found.newest) == (
        "2.39",
        "12.8",
        {"apt": "9.8.0"},
        "580.82.07",
        False,
        True,
    )


def test_a_snapshot_taken_inside_takes_the_place_of_the_files(tmp_path: Path) -> None:
    (found,) = runtimes.load(written(tmp_path, ENTRY + "snapshot = 's.txt'\n", s=json.dumps(SNAPSHOT)))
    assert (found.installed, found.date) == ({"numpy": "2"}, "2026-11-01")


def test_a_cudnn_without_a_version_is_unknown(tmp_path: Path) -> None:
    text = "nvidia-cudnn-cu12===weird\nnvidia-cudnn-cu11==8.9.7.29\nnumpy===2004d\n"
    (found,) = runtimes.load(written(tmp_path, ENTRY + "freeze = 'f.txt'\n", f=text))
    assert (found.cudnn, found.installed["nvidia-cudnn-cu12"]) == ({"pip": "8.9.7.29"}, "weird")
    assert found.installed is found.installed


def test_the_newest_is_the_one_of_the_latest_date(tmp_path: Path) -> None:
    rows = [ENTRY.replace("'x'", f"'{name}'") + f"freeze = 'f.txt'\ndate = '2026-0{name}-01'\n" for name in (7, 8, 6)]
    assert [one.newest for one in runtimes.load(written(tmp_path, "".join(rows)))] == [False, True, False]


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("", "`x` has neither `freeze` nor `snapshot`"),
        ("freeze = 'f.txt'\nos_info = 'p.txt'\n", r"`x` has Python 3\.12\.1, its files say 3\.13\.2"),
        ("freeze = 'f.txt'\napt = 'f.txt'\n", r"f\.txt: no line is one of `apt list"),
    ],
)
def test_a_runtime_that_contradicts_its_files_is_refused(tmp_path: Path, rest: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        runtimes.load(written(tmp_path, ENTRY + rest, p="Python 3.13.2\n"))


def test_a_bad_snapshot_is_named(tmp_path: Path) -> None:
    (tmp_path / "runtimes.toml").write_text(
        "[[runtime]]\nname = 'x'\npython = '3.12.1'\nfreeze = 'f.txt'\n", encoding="utf-8"
    )
    (tmp_path / "f.txt").write_text("numpy>=2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"f\.txt: 'numpy>=2'"):
        runtimes.load(tmp_path)
