from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

import pagedata
from tfwheel.colab import runtimes
from tfwheel.config import toml_files
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import CONFIG_DIR

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.colab.runtimes import Runtime, RuntimeEntry


COLAB = CONFIG_DIR / "colab"
STORED = toml_files.read(COLAB / "runtimes.toml", runtimes.RuntimesFile).runtime


PAIRS = list(zip(STORED, pagedata.RUNTIMES, strict=True))


@pytest.mark.parametrize(("entry", "found"), PAIRS, ids=[one.name for one in STORED])
def test_each_stored_runtime_is_read_whole(entry: RuntimeEntry, found: Runtime) -> None:
    assert (found.name, found.live) == (entry.name, entry.live)
    assert found.newest == (found.date == max(str(one.date) for one in pagedata.RUNTIMES))
    assert found.glibc
    assert found.tensorflow
    assert found.installed["tensorflow"] == found.tensorflow
    if entry.freeze and not entry.snapshot:
        lines = [line for line in (COLAB / entry.freeze).read_text(encoding="utf-8").splitlines() if line[:1].isalnum()]
        assert len(found.pins) + len(found.direct) == len(lines)
        assert f"tensorflow=={found.tensorflow}" in lines
        pip = {line.rpartition("==")[2] for line in lines if re.match(r"nvidia-cudnn-cu\d+==", line)}
        assert {found.cudnn.get("pip")} <= pip or not pip
    for key in ("cuda", "driver", "glibc", "date"):
        assert getattr(entry, key) in {None, getattr(found, key)}


def test_a_name_is_found_in_any_spelling_and_a_version_in_a_url(tmp_path: Path) -> None:
    url = "https://example.org/cucim_cu12-26.2.1-cp313-cp313-linux_x86_64.whl"
    freeze = f"tf_keras==2.20.1\ncucim-cu12 @ {url}\ngoogle-colab @ file:///colabtools/google-colab\n"
    (found,) = runtimes.load(written(tmp_path, ENTRY + "freeze = 'f.txt'\n", f=freeze))
    assert (found.version_of("TF.Keras"), found.version_of("not-there")) == ("2.20.1", None)
    assert (found.installed["cucim-cu12"], found.version_of("cucim-cu12")) == ("26.2.1", None)


def test_an_apt_list_tells_cuda_and_cudnn(tmp_path: Path) -> None:
    apt = (
        "cuda-cudart-12-8/unknown 12.8.90-1 amd64 [installed]\nlibcudnn9-cuda-12/unknown 9.8.0.87-1 amd64 [installed]\n"
    )
    (found,) = runtimes.load(written(tmp_path, ENTRY + "freeze = 'f.txt'\napt = 'a.txt'\n", a=apt))
    assert (found.cuda, found.cudnn) == ("12.8", {"apt": "9.8.0"})


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


def test_a_file_that_says_the_python_need_not_be_repeated(tmp_path: Path) -> None:
    bare = ENTRY.replace("python = '3.12.1'\n", "")
    (found,) = runtimes.load(written(tmp_path, bare + "snapshot = 's.txt'\n", s=json.dumps(SNAPSHOT)))
    assert found.python == "3.12.1"
    (found,) = runtimes.load(written(tmp_path, bare + "freeze = 'f.txt'\nos_info = 'o.txt'\n"))
    assert found.python == "3.12.1"
    with pytest.raises(ConfigError, match="`x` has neither `python` nor `os_info`, which says it"):
        runtimes.load(written(tmp_path, bare + "freeze = 'f.txt'\n"))


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
