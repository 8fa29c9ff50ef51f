"""Interpreters: what is said when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.system import interpreters
from tfwheel.system.errors import InterpreterMissingError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_python_is_named_with_the_places_and_the_remedy() -> None:
    with pytest.raises(InterpreterMissingError, match=r"no Python 3\.99 .*PATH.*pyenv.*uv") as failure:
        interpreters.find("3.99")
    assert "uv python install 3.99" in failure.value.remedy


def test_only_the_exact_name_is_a_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("python3.9", "python3.999", "python3", "python3.99-config"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InterpreterMissingError) as failure:
        interpreters.find("3.99")
    assert "passed over" not in failure.value.message
