from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pagedata
from tfwheel.colab import runtimes
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

FREEZE = """\
# a comment
absl-py==1.4.0

torch==2.11.0+cu128
cudf-cu12 @ https://example.org/cudf_cu12-25.2.1-cp311-cp311-manylinux_2_28_x86_64.whl
google-colab @ file:///colabtools/dist/google_colab-1.0.0.tar.gz
-e git+https://example.org/thing.git@abc#egg=thing
legacy===2004d
tensorflow==2.20.0
"""


def test_all_kinds_of_lines_are_understood() -> None:
    pass
    assert pins == {"absl-py": "1.4.0", "torch": "2.11.0+cu128", "legacy": "2004d", "tensorflow": "2.20.0"}
    assert direct == ("cudf-cu12", "google-colab", "thing")


@pytest.mark.parametrize("line", ["numpy>=2", "numpy", "numpy==2.*,==2.1", "<html>", "a == b == c"])
def test_a_line_that_pip_freeze_does_not_print_is_named(line: str) -> None:
    with pytest.raises(ConfigError, match=r"freeze: .* is not a line of `pip freeze`"):
        runtimes.parse_freeze(line, source="freeze")


def test_a_package_that_is_listed_twice_is_named() -> None:
    with pytest.raises(ConfigError, match=r"freeze: 'Absl_py==2' is the second line for Absl_py"):
        runtimes.parse_freeze("absl-py==1\nAbsl_py==2\n", source="freeze")


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
    newest = pagedata.RUNTIMES[0]
    assert len(newest.pins) == 697
    assert newest.version_of("TF.Keras") == "2.20.1"
    assert newest.version_of("not-there") is None


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
    ],
)
def test_a_list_of_runtimes_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "runtimes.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"runtimes\.toml|gone\.txt is missing"):
        runtimes.load(tmp_path)


def test_a_bad_snapshot_is_named(tmp_path: Path) -> None:
    (tmp_path / "runtimes.toml").write_text(
        "[[runtime]]\nname = 'x'\npython = '3.12.1'\nfreeze = 'f.txt'\n", encoding="utf-8"
    )
    (tmp_path / "f.txt").write_text("numpy>=2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"f\.txt: 'numpy>=2'"):
        runtimes.load(tmp_path)
