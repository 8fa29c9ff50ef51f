"""The program that runs beside a companion: right work passes, and each kind of wrong one is seen and named."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tfwheel.checks import companion_checks

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [b"A", b"custom", b"op", b",", b"loaded"]


@pytest.fixture(autouse=True)
def _version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _project: "2.20.0+cu125.3")


def checked(tmp_path: Path, check: str, version: str = "2.20.0+cu125.3") -> dict[str, Any]:
    """The report of a run."""
    answer = tmp_path / "report.json"
    code = companion_checks.main(["--check", check, "--tensorflow", version, "--json", str(answer)])
    report: dict[str, Any] = json.loads(answer.read_text())
    assert code == (0 if report["passed"] else 1)
    return report


def text(words: list[bytes], folded: bytes) -> SimpleNamespace:
    """A stand-in for tensorflow_text that always says the same."""
    listed = SimpleNamespace(to_list=lambda: [words])
    return SimpleNamespace(
        UnicodeScriptTokenizer=lambda: SimpleNamespace(tokenize=lambda _: listed),
        case_fold_utf8=lambda _: SimpleNamespace(numpy=lambda: SimpleNamespace(tolist=lambda: [folded])),
    )


@pytest.mark.parametrize(
    ("words", "folded", "reason"),
    [
        (WORDS, b"gross", None),
        (WORDS[:2], b"gross", "AssertionError: its words are [[b'A', b'custom']]"),
        (WORDS, b"GROSS", "AssertionError: folded to [b'GROSS']"),
    ],
)
def test_what_a_companion_computes_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[bytes], folded: bytes, reason: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_text", text(words, folded))  # type: ignore[arg-type]
    assert checked(tmp_path, "tensorflow-text") == {"passed": reason is None, "reason": reason}


def test_a_companion_that_wants_to_end_the_process_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorflow_text.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert checked(tmp_path, "tensorflow-text") == {"passed": False, "reason": "SystemExit: 0"}


def test_another_tensorflow_than_the_pinned_one_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_text", text(WORDS, b"gross"))  # type: ignore[arg-type]
    report = checked(tmp_path, "tensorflow-text", version="2.20.0")
    assert report["reason"] == "AssertionError: tensorflow is 2.20.0+cu125.3, not 2.20.0"


def test_what_a_companion_raises_is_one_line_without_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        message = f"{sys.prefix}/lib/x.so: undefined symbol\nand more"
        raise ImportError(message)

    monkeypatch.setitem(companion_checks.CHECKS, "tf-keras", fail)
    assert checked(tmp_path, "tf-keras")["reason"] == "ImportError: <prefix>/lib/x.so: undefined symbol"


@pytest.mark.parametrize("found", [[1.0], [1.0, 2.1], [1.0, float("nan")]])
def test_numbers_that_differ_are_named(found: list[float]) -> None:
    companion_checks._assert_close([1.0, 2.000001], [1, 2])
    with pytest.raises(AssertionError, match=r"instead of \[1, 2\]"):
        companion_checks._assert_close(found, [1, 2])


def test_every_check_says_what_it_does() -> None:
    assert all(check.__doc__ for check in companion_checks.CHECKS.values())
