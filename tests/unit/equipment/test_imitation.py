"""What an imitation needs is read from metadata, what it cannot have from uv's words; a wheel is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from imitation import attempts, requirements, runtime
from imitation.errors import UnknownRuntimeError
from pagedata import RUNTIMES, entry
from tfwheel.config import build_config
from tfwheel.config.errors import SelectionError
from tfwheel.config.paths import CONFIG_DIR, Paths
from tfwheel.index.errors import WheelMissingError

if TYPE_CHECKING:
    from pathlib import Path


def distribution(site: Path, name: str, *requires: str) -> None:
    """Put the metadata of a package there."""
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir()
    lines = "".join(f"Requires-Dist: {one}\n" for one in requires)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{lines}")


def test_what_is_needed_follows_markers_and_the_extras_that_somebody_asks_for(tmp_path: Path) -> None:
    distribution(tmp_path, "One", "two[fast]>=1", 'old; python_version < "3.12"', 'new; python_version >= "3.12"')
    distribution(tmp_path, "two", 'three; extra == "fast"', 'four; extra == "slow"', 'two[slow]; extra == "all"')
    distribution(tmp_path, "five", "not a requirement", 'seven; python_version ~= "abc"')
    assert requirements.of_all(tmp_path, python="3.12.1") == {"one", "two", "three", "new", "five"}
    assert "old" in requirements.of_all(tmp_path, python="3.11.13")
    distribution(tmp_path, "six", "Two[all]")
    assert "four" in requirements.of_all(tmp_path, python="3.12.1")


@pytest.mark.parametrize(
    ("said", "name", "reason"),
    [
        (
            "x No solution found: Because promise==2.3 has no usable wheels and you require promise==2.3, we can",
            "promise",
            "promise 2.3 has no wheel for this Python and machine",
        ),
        (
            "x No solution found: Because tf_keras==2.20.1 has no wheels with a matching Python ABI tag (`cp314`)",
            "tf-keras",
            "tf_keras 2.20.1 has no wheel for this Python and machine",
        ),
        (
            "x No solution found: Because there is no version of helper==9.0 and you require helper==9.0, we can",
            "helper",
            "helper 9.0 is not on the package index",
        ),
        ("error: Failed to fetch: `https://example.org/simple/x/`", "", ""),
    ],
)
def test_the_package_that_uv_names_is_left_out_with_a_reason(said: str, name: str, reason: str) -> None:
    assert runtime._fault(said) == (name, reason)


def test_the_wheel_that_replaces_the_runtimes_tensorflow_is_chosen() -> None:
    newest = RUNTIMES[0]
    minor = newest.python_minor.replace(".", "")
    wanted = entry(f"{newest.tensorflow}+cpu.10", minor, "cpu")
    others = [
        entry(f"{newest.tensorflow}+cpu.9", minor, "cpu"),
        entry(f"{newest.tensorflow}+cu125.11", minor, "cu12"),
        entry(f"{newest.tensorflow}+cpu.11", "310", "cpu"),
        entry("2.99.0+cpu.11", minor, "cpu"),
        entry(f"{newest.tensorflow}+cpu.11", None, "cpu"),
    ]
    assert attempts.wheel_for(newest, [*others, wanted], line="cpu") == wanted
    with pytest.raises(
        WheelMissingError, match=f"for Python {newest.python_minor}, which the runtime {newest.name} needs"
    ):
        attempts.wheel_for(newest, others[1:], line="cpu")


def test_runtimes_are_chosen_by_name_and_the_newest_without_one(tmp_path: Path) -> None:
    paths = Paths(settings=CONFIG_DIR, dist=tmp_path, cache=tmp_path)
    assert [one.name for one in attempts.named(["2025.07", "2026.07"], paths)] == ["2025.07", "2026.07"]
    assert attempts.named([], paths) == [RUNTIMES[0]]
    with pytest.raises(UnknownRuntimeError, match=r"there is no snapshot of a runtime 2020\.01; there are 20"):
        attempts.named(["2020.01"], paths)


def test_all_runtimes_are_those_that_a_target_of_the_line_is_for(tmp_path: Path) -> None:
    paths, settings = Paths(settings=CONFIG_DIR, dist=tmp_path, cache=tmp_path), build_config.load()
    wish = attempts.Wish(names=(), line="cpu", everywhere=True, built=False)
    found = attempts.meant(wish, paths, settings)
    for nobody in ("zz", "CPU"):
        with pytest.raises(SelectionError, match=f"no target is on the line `{nobody}`"):
            attempts.meant(replace(wish, line=nobody), paths, settings)
    targets = {target for one in found for target in attempts.targets_for(one, settings, line="cpu")}
    assert {one.python_minor for one in found} == {f"3.{target.split('-')[1][3:]}" for target in targets}
    assert all(attempts.targets_for(one, settings, line="cpu") == [] for one in RUNTIMES if one not in found)
    assert found
