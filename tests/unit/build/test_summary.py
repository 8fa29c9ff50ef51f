"""The summary of a run: every wheel and every gap has its row, and nothing in it breaks the table."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedconfig import CONFIG
from tfwheel.build import summary
from tfwheel.config.errors import SelectionError
from tfwheel.config.paths import Paths
from tfwheel.system import ci
from tfwheel.wheel import records
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from pathlib import Path

CU12, CPU, OPS = "tf2.20.0-cp312-cu12", "tf2.20.0-cp312-cpu", "ops-tf2.20.0-cu12"
NO_GPU, FINE = "not run on a GPU", "passed with pip 26.3"
GPU = {"name": "Tesla T4", "driver": "555.42.06"}


def record(target: str = CU12, *, sha256: str = "ab" * 32, **parts: Any) -> Record:  # noqa: ANN401 -- any field
    """The record of a wheel that was built and passed."""
    whole = Record(
        target=target,
        project="tensorflow",
        version="2.20.0+cu125.1",
        line="cu12",
        python="3.12",
        file=f"{target}.whl",
        sha256=sha256,
        size=621_234_567,
        key="k",
        source_commit="cd" * 20,
        base={"file": "tensorflow-2.20.0.whl", "sha256": "ef" * 32},
        gates={"contents": "equal", "size": "small"},
        smoke=report(sha256=sha256),
        times={"official wheel": 0.31, "merge": 2.345},
        cached=["official wheel", "ops"],
    )
    return whole.grown(**parts)


def report(*, sha256: str = "ab" * 32, **parts: Any) -> dict[str, Any]:  # noqa: ANN401 -- as above
    return {"passed": True, "wheel_sha256": sha256, "client": "pip 26.3", "times": {"smoke: install": 20.04}, **parts}


def keep(folder: Path, *kept: Record) -> None:
    for one in kept:
        records.save(one, folder / one.target / one.file)


def table(text: str) -> list[list[str]]:
    """The cells of every row, as a reader of GFM splits them: an escaped bar is none."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    plain = [re.sub(r"\\([!-/:-@\[-`{-~])", lambda found: found[1].replace("|", ""), line) for line in lines]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in plain[2:]]


def row(text: str, target: str) -> dict[str, str]:
    cells = next(cells for cells in table(text) if cells[1] == f"`{target}`")
    return dict(zip(summary.COLUMNS, cells, strict=True))


# --- a run on this machine -------------------------------------------------------------------------------


def test_a_wheel_has_all_that_was_asked_for_in_its_row(tmp_path: Path) -> None:
    keep(tmp_path, record())
    text = summary.render(summary.rows(tmp_path))
    assert row(text, CU12) == {
        "result": "passed",
        "target": f"`{CU12}`",
        "wheel": f"`{CU12}.whl`",
        "size": "621.2 MB",
        "sha256": f"`{'ab' * 6}`",
        "seconds": "merge: 2.3<br>official wheel: 0.3<br>smoke: install: 20.0",
        "from a cache": "official wheel, ops",
        "gates": "contents, size",
        "smoke test": "passed with pip 26.3",
        "on a GPU": "not run on a GPU",
    }
    assert "1 in all: 1 passed. 0 passed on a GPU." in text
    assert "ab" * 32 in text
    assert "ef" * 32 in text
    assert "cd" * 20 in text


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    keep(tmp_path / "one", record(CPU), record(), record(OPS))
    keep(tmp_path / "two", record(OPS), record(CPU), record())
    one, two = (summary.render(summary.rows(tmp_path / name)) for name in ("one", "two"))
    assert one == two
    assert [cells[1] for cells in table(one)] == [f"`{name}`" for name in (OPS, CPU, CU12)]


@pytest.mark.parametrize(
    ("parts", "result", "smoke", "gpu"),
    [
        ({"smoke": None}, "not tested", "not run", NO_GPU),
        ({"smoke": report(passed=False, reason="it is wrong")}, "FAILED", "failed: it is wrong", NO_GPU),
        ({"smoke": report(sha256="00")}, "FAILED", "its report is about other bytes", NO_GPU),
        ({"gpu_smoke": report(gpu=GPU)}, "passed", FINE, "passed on Tesla T4, driver 555.42.06"),
        ({"gpu_smoke": report(passed=False, reason="SIGSEGV", gpu="not reached")}, "FAILED", FINE, "failed: SIGSEGV"),
        ({"gpu_smoke": report(sha256="00", gpu=GPU)}, "FAILED", FINE, "its report is about other bytes"),
    ],
)
def test_what_was_run_and_where_is_told_apart(
    tmp_path: Path, parts: dict[str, Any], result: str, smoke: str, gpu: str
) -> None:
    keep(tmp_path, record(**parts))
    found = row(summary.render(summary.rows(tmp_path)), CU12)
    assert (found["result"], found["smoke test"], found["on a GPU"]) == (result, smoke, gpu)


def test_what_was_expected_and_is_not_there_has_a_row(tmp_path: Path) -> None:
    keep(tmp_path, record())
    text = summary.render(summary.rows(tmp_path, expected=[CU12, CPU]))
    assert row(text, CPU)["result"] == "missing"
    assert summary.NOTHING_CAME in row(text, CPU)["wheel"]
    assert "2 in all: 1 missing, 1 passed. 0 passed on a GPU." in text


def test_a_record_that_cannot_be_read_is_shown(tmp_path: Path) -> None:
    path = tmp_path / CU12 / "x.whl.record.json"
    path.parent.mkdir()
    path.write_text("{")
    (found,) = summary.rows(tmp_path, expected=[CU12])
    assert (found.result, found.target) == ("WRONG", CU12)
    assert "is not a record" in row(summary.render([found]), CU12)["wheel"]


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_a_run_that_left_nothing_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    text = summary.render(summary.rows(tmp_path / name))
    assert "0 in all: none. 0 passed on a GPU." in text
    assert "|" not in text


# --- a run in CI -----------------------------------------------------------------------------------------


def test_the_jobs_of_a_target_are_joined(tmp_path: Path) -> None:
    on_gpu = report(gpu=GPU)
    keep(tmp_path / f"wheel-{CU12}", record(), record(OPS))
    keep(tmp_path / f"gpu-{CU12}", record(smoke=on_gpu, gpu_smoke=on_gpu), record(OPS))
    keep(tmp_path / f"wheel-{CPU}", record(CPU))
    text = summary.render(summary.rows(tmp_path))
    assert row(text, CU12)["on a GPU"] == "passed on Tesla T4, driver 555.42.06"
    assert {row(text, name)["on a GPU"] for name in (OPS, CPU)} == {"not run on a GPU"}
    assert "3 in all: 3 passed. 1 passed on a GPU." in text


def test_what_was_built_and_tested_in_two_jobs_is_one_row(tmp_path: Path) -> None:
    keep(tmp_path / f"record-{CU12}", record(smoke=None))
    assert [row.result for row in summary.rows(tmp_path)] == ["not tested"]
    keep(tmp_path / f"smoke-{CU12}", record())
    assert [row.result for row in summary.rows(tmp_path)] == ["passed"]


def test_the_ops_wheel_of_several_jobs_is_one_row_and_a_failure_in_any_shows(tmp_path: Path) -> None:
    keep(tmp_path / "wheel-a", record(OPS))
    keep(tmp_path / "wheel-b", record(OPS, smoke=report(passed=False, reason="no op")))
    (found,) = summary.rows(tmp_path)
    assert found.result == "FAILED"


def test_jobs_that_made_different_bytes_of_one_wheel_are_shown(tmp_path: Path) -> None:
    keep(tmp_path / "wheel-a", record(OPS))
    keep(tmp_path / "wheel-b", record(OPS, sha256="99" * 32))
    (found,) = summary.rows(tmp_path)
    assert found.result == "WRONG"
    assert "made other bytes of it" in row(summary.render([found]), OPS)["wheel"]


def test_a_gpu_job_that_tested_another_wheel_is_shown(tmp_path: Path) -> None:
    keep(tmp_path / "wheel-a", record())
    keep(tmp_path / "gpu-a", record(sha256="99" * 32), record(CPU))
    text = summary.render(summary.rows(tmp_path))
    assert "the record of a smoke test is about another wheel" in row(text, CU12)["wheel"]
    assert "no job built it" in row(text, CPU)["wheel"]


# --- expectations ----------------------------------------------------------------------------------------


def test_what_is_expected_may_be_ids_or_a_matrix() -> None:
    settings = CONFIG
    matrix = json.dumps({"include": [{"id": CU12, "session": "x"}]})
    assert summary.expected(settings, [CU12]) == summary.expected(settings, [matrix, "", CU12]) == [OPS, CU12]
    assert summary.expected(settings, ['{"include": []}']) == []


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("tf2.20.0-cp312-cu1", f"did you mean `{CU12}`"),
        ("{", "not a matrix: JSONDecodeError"),
        ("{}", "KeyError"),
        ('{"include": ["x"]}', "TypeError"),
    ],
)
def test_a_word_that_is_neither_is_refused(word: str, words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        summary.expected(CONFIG, [word])


# --- Markdown --------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """The tags in a text, those in code spans left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.seen.add(tag)


@given(st.text(alphabet=st.sampled_from("|`*_<>[]()\\\n\r#!&ab "), max_size=20))
def test_nothing_in_a_record_breaks_the_table(words: str) -> None:
    evil = record(file=words, smoke=report(passed=False, reason=words), gates={words: ""}, cached=[words])
    text = summary.render([summary.SummaryRow(target=words, record=evil), summary.SummaryRow(target="x", fault=words)])
    assert [len(cells) for cells in table(text)] == [len(summary.COLUMNS)] * 2


def test_html_in_a_reason_stays_text(tmp_path: Path) -> None:
    keep(tmp_path, record(smoke=report(passed=False, reason="<script>*x*</script> [a](b)")))
    text = summary.render(summary.rows(tmp_path))
    assert r"failed: \<script\>\*x\*\</script\> \[a\](b)" in text
    assert Tags(text.replace(r"\<", "")).seen == {"br", "details", "summary"}


# --- where it goes ---------------------------------------------------------------------------------------


def test_it_is_written_to_the_reports_and_added_to_the_jobs_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(settings=tmp_path, dist=tmp_path / "dist", cache=tmp_path)
    keep(paths.wheels, record())
    text = summary.refresh(paths, expected=[CPU])
    assert (paths.dist / "reports" / "summary.md").read_text() == text
    assert row(text, CPU)["result"] == "missing"
    shown = tmp_path / "step"
    shown.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(shown))
    assert ci.add_to_summary(text)
    assert shown.read_text() == "before\n" + text
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert not ci.add_to_summary(text)


# --- companions ------------------------------------------------------------------------------------------


def test_what_was_tried_beside_a_wheel_has_a_table(tmp_path: Path) -> None:
    fine = {"version": "2.20.1", "result": "passed"}
    bad = {"version": "2.20.0", "result": "failed: a|b", "official": "passed"}
    keep(
        tmp_path,
        record(companions=report(projects={"tf-keras": fine})),
        record(CPU, companions=report(passed=False, projects={"tf-keras": fine, "ydf-tf": bad})),
        record(OPS, companions=report(sha256="00" * 32, projects={"tf-keras": fine})),
    )
    text = summary.render(summary.rows(tmp_path))
    assert [row(text, name)["result"] for name in (CU12, CPU, OPS)] == ["passed", "FAILED", "FAILED"]
    rows = text.partition("installed beside the wheels:")[2].splitlines()
    assert f"| `{CU12}` | tf-keras | 2.20.1 | passed |  |" in rows
    assert f"| `{CPU}` | ydf-tf | 2.20.0 | failed: a\\|b | passed |" in rows
    assert f"| `{OPS}` | tf-keras | 2.20.1 | its report is about other bytes |  |" in rows


def test_a_wheel_without_companions_has_no_such_table(tmp_path: Path) -> None:
    keep(tmp_path, record())
    assert "beside the wheels" not in summary.render(summary.rows(tmp_path))
