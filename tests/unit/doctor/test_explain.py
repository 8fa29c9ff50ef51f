"""What logs show, on a corpus of which one half was put aside before the signatures were tuned on the other."""

from __future__ import annotations

import hashlib
import json

import pytest

from tfwheel.config.paths import ROOT
from tfwheel.doctor import explain

LOGS = ROOT / "tests" / "data" / "logs"
CORPUS = json.loads((LOGS / "corpus.json").read_bytes())
PUBLIC = json.loads((LOGS / "public.json").read_bytes())
HELD_BACK, TUNED = "held back", "tuned"


def text(name: str) -> str:
    return (LOGS / f"{name}.txt").read_text(encoding="utf-8")


def answer(name: str) -> str | None:
    found = explain.explain(text(name))
    return found.name if found else None


def measure(half: str) -> tuple[int, int, int, int]:
    """How many were told rightly, told wrongly, blamed without a cause, and missed."""
    counts = [0, 0, 0, 0]
    for name, facts in CORPUS.items():
        if facts["half"] == half:
            found, expect = answer(name), facts["expect"]
            if found != expect or expect:
                counts[0 if found == expect else 3 if found is None else 1 if expect else 2] += 1
    return counts[0], counts[1], counts[2], counts[3]


def test_the_corpus_is_large_has_logs_without_a_cause_and_was_split_by_name() -> None:
    assert {path.stem for path in LOGS.glob("*.txt")} == set(CORPUS)
    assert len(CORPUS) >= 60
    assert 3 * sum(facts["expect"] is None for facts in CORPUS.values()) >= len(CORPUS)
    for name, facts in CORPUS.items():
        assert facts["half"] == (HELD_BACK if hashlib.sha256(name.encode()).digest()[0] % 2 else TUNED)
        assert facts["origin"] in {"provoked", "composed"}


def test_each_signature_is_told_by_a_log_of_its_own() -> None:
    names = [signature.name for signature in explain.SIGNATURES]
    assert len(set(names)) == len(names)
    assert {facts["expect"] for facts in CORPUS.values()} - {None} == set(names)


@pytest.mark.parametrize("name", [name for name, facts in CORPUS.items() if facts["half"] == TUNED])
def test_the_tuned_half_is_told_as_it_is(name: str) -> None:
    assert answer(name) == CORPUS[name]["expect"]


def test_precision_and_recall_on_both_halves() -> None:
    for half in (TUNED, HELD_BACK):
        right, wrong, blamed, missed = measure(half)
        precision, recall = right / (right + wrong + blamed), right / (right + wrong + missed)
        print(f"{half}: precision {precision:.3f}, recall {recall:.3f} of {right + wrong + missed} logs with a cause")  # noqa: T201 -- for pytest -rP
        assert wrong + blamed == 0  # a false blame is worse than silence
        assert recall >= 0.9


@pytest.mark.parametrize("case", PUBLIC, ids=[case["source"] for case in PUBLIC])
def test_lines_of_public_threads_are_told_as_they_are(case: dict[str, str | None]) -> None:
    found = explain.explain(case["log"] or "")
    assert (found.name if found else None) == case["expect"]


def test_noise_beside_a_cause_hides_nothing_and_alone_is_nothing() -> None:
    lines = [line for line in text("start-on-a-t4").splitlines() if "factory" in line or "TF-TRT" in line]
    assert len(lines) == 4
    assert explain.explain("\n".join(lines)) is None
    found = explain.explain("\n".join([*lines, "ModuleNotFoundError: No module named 'tensorflow'", *lines]))
    assert found
    assert found.number == 5
    assert found.line == "ModuleNotFoundError: No module named 'tensorflow'"


def test_colours_progress_and_wrapped_lines_are_read() -> None:
    log = (
        "$ pip install tensorflow\n\x1b[31mERROR: No matching\n      distribution found for tensorflow==2.8.0\x1b[0m\n"
        "  10% ###\r  20% ###\r"
    )
    found = explain.explain(log)
    assert found
    assert found.name == "no-dist"


def test_the_words_of_a_log_are_in_the_cause() -> None:
    found = explain.explain(text("glibc-too-old"))
    assert found
    assert "it needs GLIBC_2.41" in found.cause
    for facts in (explain.explain(text(name)) for name in CORPUS):
        assert facts is None or "{" not in facts.cause + facts.remedy.replace("k in ('UV", "")


@pytest.mark.parametrize(
    "log", ["", "\n" * 1000, "\0", "é" * 100, "pip install " * 5000, "Because " * 20000, " " * 50000]
)
def test_odd_logs_are_nothing_known_and_take_no_time(log: str) -> None:
    assert explain.explain(log) is None
