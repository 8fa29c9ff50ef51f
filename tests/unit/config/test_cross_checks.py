"""What several files of the configuration must agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smallconfig import LINES, TARGETS, refusal

if TYPE_CHECKING:
    from pathlib import Path


def test_two_lines_with_one_label_are_refused(tmp_path: Path) -> None:
    slim = LINES + '\n[cu12slim]\nlabel = "cu125"\nbase = "tensorflow"\ncuda = "12.5.1"\narchs = ["89"]\n'
    assert refusal(tmp_path, lines=slim).startswith("lines.toml: `cu12` and `cu12slim` have the same label, `cu125`")


@pytest.mark.parametrize(("folder", "hint"), [("2.20", "did you mean `2.20.0`"), ("9.9.9", "known: 2.20.0")])
def test_patches_for_a_version_that_is_not_built_are_refused(tmp_path: Path, folder: str, hint: str) -> None:
    (tmp_path / "patches" / folder).mkdir(parents=True)
    said = refusal(tmp_path)
    assert said.startswith(f"patches/{folder}: targets.toml builds no TensorFlow {folder}")
    assert hint in said


def test_a_line_that_no_session_builds_is_refused(tmp_path: Path) -> None:
    named = refusal(tmp_path, lines=LINES.replace("[cu12]", "[l4]"), targets=TARGETS.replace('"cu12"', '"l4"'))
    assert "no nox session builds the line `l4`: its name begins with none of cpu, cu12" in named
