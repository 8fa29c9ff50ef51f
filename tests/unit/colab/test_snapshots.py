"""What describes a runtime is read as it comes, or refused in words."""

from __future__ import annotations

import ast
import json
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tfwheel.colab import runtimes, snapshots
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import CONFIG_DIR

FREEZE = """\
# a comment
absl-py==1.4.0

torch==2.11.0+cu128
cudf-cu12 @ https://example.org/cudf_cu12-25.2.1-cp311-cp311-manylinux_2_28_x86_64.whl
torchvision @ https://example.org/whl/cu124/torchvision-0.21.0%2Bcu124-cp311-cp311-linux_x86_64.whl#sha256=00
google-colab @ file:///colabtools/dist/google_colab-1.0.0.tar.gz
jupyter_kernel_gateway @ git+https://example.org/kernel_gateway@b134e99
-e git+https://example.org/thing.git@abc#egg=thing
legacy===2004d
tensorflow==2.20.0
"""
SNAPSHOT: dict[str, Any] = {
    "format": 1,
    "date": "2026-11-01",
    "python": "3.13.15",
    "glibc": "2.39",
    "driver": "580.82.07",
    "cuda": "12.8",
    "cudnn": {"apt": "9.8.0", "pip": "9.19.0.56"},
    "distributions": {
        "tensorflow": {"version": "2.20.0", "requires": ["numpy>=1.26"], "gencode": "5.28.3"},
        "torch": {"version": "2.11.0+cu128", "url": "yes"},
    },
}


def test_all_kinds_of_lines_are_understood() -> None:
    freeze = snapshots.parse_freeze(FREEZE, source="freeze")
    assert freeze.pins == {"absl-py": "1.4.0", "torch": "2.11.0+cu128", "legacy": "2004d", "tensorflow": "2.20.0"}
    assert list(freeze.direct) == ["cudf-cu12", "torchvision", "google-colab", "jupyter_kernel_gateway", "thing"]


def test_the_file_name_in_a_url_tells_the_version() -> None:
    versions = snapshots.parse_freeze(FREEZE, source="freeze").versions
    told = {name: versions.get(name) for name in ("cudf-cu12", "torchvision", "google-colab", "jupyter-kernel-gateway")}
    assert told == {
        "cudf-cu12": "25.2.1",
        "torchvision": "0.21.0+cu124",
        "google-colab": "1.0.0",
        "jupyter-kernel-gateway": None,
    }


@pytest.mark.parametrize(
    "line",
    [
        "numpy>=2",
        "numpy",
        "numpy==2.*,==2.1",
        "<html>",
        "a == b == c",
        "a===<img/src=x>",
        "a===1\x1b[31m",
        "a==" + "1" * 5000,
    ],
)
def test_a_line_that_pip_freeze_does_not_print_is_named(line: str) -> None:
    with pytest.raises(ConfigError, match=r"freeze: .* is not a line of `pip freeze`"):
        snapshots.parse_freeze(line, source="freeze")


def test_a_package_that_is_listed_twice_is_named() -> None:
    with pytest.raises(ConfigError, match=r"freeze: 'Absl_py==2' is the second line for Absl_py"):
        snapshots.parse_freeze("absl-py==1\nAbsl_py==2\n", source="freeze")


def test_a_freeze_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="freeze has more than 20000 lines"):
        snapshots.parse_freeze("".join(f"a{number}==1\n" for number in range(20_001)), source="freeze")


@pytest.mark.parametrize("text", ["weird", "1" * 5000])
def test_a_version_that_is_none_is_unknown(text: str) -> None:
    assert snapshots.version(text) is None


@pytest.mark.parametrize(
    ("ubuntu", "glibc"), [("Ubuntu 22.04.5 LTS", "2.35"), ("Ubuntu 24.04.3 LTS", "2.39"), ("Debian 13", None)]
)
def test_the_system_tells_the_c_library(ubuntu: str, glibc: str | None) -> None:
    found = snapshots.parse_os_info(f"# a comment\n{ubuntu}\nPython 3.13.15\nR version 4.6.1\n", source="os-info")
    assert (found.python, found.glibc) == ("3.13.15", glibc)


@pytest.mark.parametrize("text", ["", "Ubuntu 22.04 LTS\n", "Python 3.13\n", "Python 2.7.18\n"])
def test_a_system_without_a_python_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"os-info: no line says `Python 3\.X\.Y`"):
        snapshots.parse_os_info(text, source="os-info")


def test_apt_tells_cuda_and_cudnn() -> None:
    text = (CONFIG_DIR / "colab" / "apt-list-gpu-2026-08-19.txt").read_text(encoding="utf-8")
    packages = snapshots.parse_apt(text, source="apt")
    assert len(packages) == 1138
    assert (snapshots.cuda_of(packages), snapshots.cudnn_of(packages)) == ("12.8", "9.8.0")
    assert snapshots.cuda_of({"cuda-cudart-12-8": "1", "cuda-cudart-13-0": "1", "cuda-cudart-dev-14-0": "1"}) == "13.0"
    assert (snapshots.cuda_of({"bash": "5"}), snapshots.cudnn_of({"bash": "5"})) == (None, None)


def test_what_is_no_list_of_apt_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"apt: no line is one of `apt list --installed`"):
        snapshots.parse_apt("Listing...\n", source="apt")


def test_a_snapshot_taken_inside_says_all() -> None:
    found = snapshots.parse_snapshot(json.dumps(SNAPSHOT).encode(), source="snapshot")
    runtime = runtimes.of_snapshot(found, name="2026.11")
    assert (runtime.python_minor, runtime.glibc, runtime.driver, runtime.cuda) == ("3.13", "2.39", "580.82.07", "12.8")
    assert (runtime.tensorflow, runtime.direct, dict(runtime.cudnn)) == ("2.20.0", ("torch",), SNAPSHOT["cudnn"])
    assert (runtime.requires, runtime.gencode) == ({"tensorflow": ("numpy>=1.26",)}, {"tensorflow": "5.28.3"})


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"python": "3.13"},
        {"python": 3},
        {"distributions": {"TensorFlow": {"version": "1"}}},
        {"distributions": {"x": {"version": "1\n"}}},
        {"distributions": []},
        {"date": None},
        {"date": "2026-99-99"},
        {"glibc": "abc"},
        {"driver": "580.1 | <img src=x> @octocat"},
        {"cuda": "12.8\x1b[31m"},
        {"cudnn": {"apt": "abc"}},
        {"distributions": {"x": {"version": "1", "gencode": "abc"}}},
        {"distributions": {"x": {"version": "1" * 5000}}},
        {"distributions": {"x": {"version": "<img/src=x>"}}},
        {"distributions": {"x": {"version": "1", "requires": ["y"] * 5001}}},
    ],
)
def test_a_snapshot_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"snapshot is not a snapshot of a runtime"):
        snapshots.parse_snapshot(json.dumps(SNAPSHOT | change).encode(), source="snapshot")


def test_the_snapshot_program_is_for_python_3_9_and_needs_nothing_else() -> None:
    tree = ast.parse(
        Path(snapshots.__file__).with_name("snapshot_program.py").read_text("utf-8"), feature_version=(3, 9)
    )
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    assert {str(name).partition(".")[0] for name in named} <= sys.stdlib_module_names


def test_no_mutated_text_ends_in_another_exception() -> None:
    chosen = random.Random(13)  # noqa: S311 -- the same mutants each time
    texts = [FREEZE, json.dumps(SNAPSHOT), "Ubuntu 22.04\nPython 3.13.15\n", "bash/now 5.1 amd64 [installed]\n"]
    pieces = ["", "\n", "==", " @ ", "%", "[", "]", "é", "\0", "9" * 30, "file://[", "-e ", ";", ".whl", "@"]
    for _ in range(600):
        text = chosen.choice(texts)
        at = chosen.randrange(len(text))
        mutant = text[:at] + chosen.choice(pieces) + text[at + chosen.randint(0, 9) :]
        for parse in (snapshots.parse_freeze, snapshots.parse_os_info, snapshots.parse_apt):
            with suppress(ConfigError):
                found = parse(mutant, source="text")
                if isinstance(found, snapshots.Freeze):
                    runtimes.of_freeze(found, name="x", python="3.13.15")
        with suppress(ConfigError):
            runtimes.of_snapshot(snapshots.parse_snapshot(mutant.encode(), source="text"), name="x")
