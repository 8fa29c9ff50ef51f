"""What a step hands to the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.system import ci
from tfwheel.system.errors import NotInCiError

if TYPE_CHECKING:
    from pathlib import Path


def test_outputs_are_added_to_those_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "output"
    path.write_text("before=1\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(path))
    ci.set_outputs({"matrix": '{"include": []}', "any": "false"})
    assert path.read_text() == 'before=1\nmatrix={"include": []}\nany=false\n'


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_file_for_them_outputs_are_refused(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    if value is not None:
        monkeypatch.setenv("GITHUB_OUTPUT", value)
    with pytest.raises(NotInCiError, match=r"\$GITHUB_OUTPUT") as caught:
        ci.set_outputs({"any": "true"})
    assert "--github-output" in caught.value.remedy
