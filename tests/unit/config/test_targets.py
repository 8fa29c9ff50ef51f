"""Names that follow from a target."""

from __future__ import annotations

import pytest

from tfwheel.config.targets import session_of


@pytest.mark.parametrize(
    ("line", "session"),
    [
        ("cpu", "build-cpu"),
        ("cu12", "build-cuda12"),
        ("cu12t4", "build-cuda12"),
        ("cu13", "build-cuda13"),
        ("xcpu", None),
    ],
)
def test_a_line_is_built_by_the_session_its_name_begins_like(line: str, session: str | None) -> None:
    assert session_of(line) == session
