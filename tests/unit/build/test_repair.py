"""What is said of a failed repair."""

from __future__ import annotations

import pytest

from tfwheel.build.repair import cause


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            'Traceback\n  raise ValueError(msg)\nValueError: required library "a.so" is not there\n',
            'required library "a.so" is not there',
        ),
        (
            "INFO:auditwheel.main_repair:Repairing x.whl\nusage: ...\n__main__.py: error: too-recent symbols\n\n",
            "too-recent symbols",
        ),
        (
            "INFO:auditwheel.main_repair:This does not look like a platform wheel",
            "This does not look like a platform wheel",
        ),
        ("zipfile.BadZipFile: File is not a zip file", "zipfile.BadZipFile: File is not a zip file"),
        ("\n", "it printed nothing"),
    ],
)
def test_the_cause_is_the_last_line_without_its_prefix(output: str, words: str) -> None:
    assert cause(output) == words
