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


THERE = "Requirement already satisfied: tensorflow in /usr/lib/python3.12/dist-packages (2.20.0)\n"
NUMPY = "Requirement already satisfied: numpy>=1.26.0 in /usr/lib/python3.12/dist-packages (from tensorflow) (2.0.2)\n"
GONE = (
    "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken "
    "by '{}': /index/cu12/tensorflow/\n"
    "ERROR: Could not find a version that satisfies the requirement tensorflow==2.20.0+cu125.3 (from versions: 2.20)\n"
    "ERROR: No matching distribution found for tensorflow==2.20.0+cu125.3\n"
)
NO_NAME = "NewConnectionError('…: Failed to establish a new connection: [Errno -2] Name or service not known')"
TIME = "2026-11-27T00:18:06,910 "
ALONE = {
    "pip": (THERE + NUMPY, "nothing-installed"),
    "pip's last word": (THERE, "nothing-installed"),
    "%pip": (
        f"Looking in indexes: https://pypi.org/simple\n{THERE}\nNote: you may need to restart",
        "nothing-installed",
    ),
    "pip --log": (
        f"{TIME}Using pip 23.2.1 from /p\n{TIME}Created build tracker: /x\n{TIME}{THERE}{TIME}Removed build\n",
        "nothing-installed",
    ),
    "a file of requirements": (THERE.replace(" (2", " (from -r r.txt (line 1)) (2"), "nothing-installed"),
    "uv": ("Checked 1 package in 4ms\n", "nothing-installed"),
    "older uv": ("Using Python 3.12.1 environment at: /usr\nAudited 1 package in 12ms", "nothing-installed"),
    "numpy": (NUMPY.replace(" (from tensorflow)", ""), None),
    "another that needs it": (f"{THERE.replace('(2', '(from tf-keras) (2')}", None),
    "this very build": (THERE.replace("tensorflow in", "tensorflow==2.20.0+cu125.3 in"), None),
    "this very build, uv": ('$ uv pip install "tensorflow==2.20.0+cu125.3"\nChecked 1 package in 4ms', None),
    "one more was installed": (f"{THERE}Collecting tqdm\nSuccessfully installed tqdm-4.67.1\n", None),
    "one more, as typed": (f"$ pip install tensorflow tqdm\n{THERE}Successfully installed tqdm-4.67.1\n", None),
    "one more, uv": ("$ uv pip install tensorflow\nChecked 1 package in 4ms\n$ uv pip install x\n + x==1\n", None),
    "an error after it": (f"$ pip install tensorflow\n{THERE}ERROR: Operation cancelled by user\n", None),
    "a failure after it": (f"{THERE}Traceback (most recent call last):\nKeyError: 'x'\n", None),
    "uv pip check": ("Checked 3 packages in 288ms\nAll installed packages are compatible", None),
    "no space": (
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
        "disk",
    ),
    "no name": (GONE.format(NO_NAME), "network"),
    "no answer": (GONE.format("ConnectTimeoutError(…, 'timed out. (connect timeout=15)')"), "network"),
    "no name, uv": ("error: Failed to fetch: `https://x/cu12/tensorflow/`\n  cause: dns error", "network"),
    "a retry that helped": (GONE.format("ReadTimeoutError()").replace("total=0", "total=4"), "pin-without-index"),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_saved_log_is_told_without_the_command_that_made_it(name: str) -> None:
    log, expect = ALONE[name]
    found = explain.explain(log)
    assert (found.name if found else None) == expect


@pytest.mark.parametrize(
    "log",
    ["", THERE * 5000 + "x", "\n" * 1000, "\0", "é" * 100, "pip install " * 5000, "Because " * 20000, " " * 50000],
)
def test_odd_logs_are_nothing_known_and_take_no_time(log: str) -> None:
    assert explain.explain(log) is None
