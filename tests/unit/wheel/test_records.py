"""Records survive being written, and nothing else is taken for one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tfwheel.errors import BadWheelError
from tfwheel.system import files
from tfwheel.wheel import records
from tfwheel.wheel.records import Record

RECORD = Record(
    target="tf2.20.0-cp312-cu12",
    project="tensorflow",
    version="2.20.0+cu125.1",
    line="cu12",
    python="3.12",
    file="tensorflow-2.20.0+cu125.1-cp312-cp312-manylinux_2_17_x86_64.whl",
    sha256="ab" * 32,
    size=620_000_000,
    key="cd" * 32,
)


def test_a_record_stands_beside_its_wheel_and_reads_back(tmp_path: Path) -> None:
    record = RECORD.grown(gates={"size": "small"}, gpu_code={"ops": ["sm_75"]}, times={"merge": 1.5})
    records.save(record, tmp_path / RECORD.file)
    assert [path.name for path in tmp_path.iterdir()] == [RECORD.file + ".record.json"]
    assert records.load(records.path_for(tmp_path / RECORD.file)) == record


def test_the_same_record_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, tools in {"a.whl": {"x": "1", "y": "2"}, "b.whl": {"y": "2", "x": "1"}}.items():
        records.save(RECORD.grown(tools=tools), tmp_path / name)
    first, second = (records.path_for(tmp_path / name).read_bytes() for name in ("a.whl", "b.whl"))
    assert first == second
    assert first.endswith(b"}\n")


def test_growing_a_record_leaves_the_old_one() -> None:
    grown = RECORD.grown(smoke={"passed": True})
    assert RECORD.smoke is None
    assert grown.smoke == {"passed": True}
    with pytest.raises(TypeError):
        RECORD.grown(smok={})


@pytest.mark.parametrize(
    ("smoke", "passed"),
    [
        (None, False),
        ({}, False),
        ({"passed": True}, False),
        ({"passed": False, "wheel_sha256": RECORD.sha256}, False),
        ({"passed": "yes", "wheel_sha256": RECORD.sha256}, False),
        ({"passed": True, "wheel_sha256": "00" * 32}, False),
        ({"passed": True, "wheel_sha256": RECORD.sha256}, True),
    ],
)
def test_only_a_passing_run_on_these_very_bytes_counts(smoke: dict[str, object] | None, passed: bool) -> None:  # noqa: FBT001
    assert RECORD.grown(smoke=smoke).passed_smoke is passed


def test_a_record_of_before_there_were_gpu_reports_reads_as_one_without(tmp_path: Path) -> None:
    records.save(RECORD, tmp_path / RECORD.file)
    path = records.path_for(tmp_path / RECORD.file)
    old = json.loads(path.read_text())
    del old["gpu_smoke"], old["companions"], old["cached"]
    path.write_text(json.dumps(old))
    assert records.load(path) == RECORD


@pytest.mark.parametrize(
    ("name", "value"), [("smoke", 5), ("size", "1"), ("times", {"merge": "fast"}), ("cached", "ops"), ("gates", [1])]
)
def test_a_part_of_another_type_is_refused(tmp_path: Path, name: str, value: object) -> None:
    records.save(RECORD.grown(**{name: value}), tmp_path / RECORD.file)
    with pytest.raises(BadWheelError, match=f"is not a record: .*`[$][.]{name}"):
        records.load(records.path_for(tmp_path / RECORD.file))


@pytest.mark.parametrize(
    "facts",
    [
        {"smoke": {"client": 5}},
        {"smoke": {"date": 5}},
        {"gpu_smoke": {"gpu": [1]}},
        {"smoke": {"times": {"a": None}}},
        {"companions": {"projects": ["tf-keras"]}},
        {"companions": {"projects": {"tf-keras": {"version": 2}}}},
        {"smoke": {"times": {"a": 10**400}}},
        {"smoke": {"client": "\ud800"}},
        {"base": {"file": "x"}},
        {"size": 10**400},
        {"target": "\ud800"},
    ],
    ids=str,
)
def test_what_no_summary_and_no_page_could_show_is_refused(tmp_path: Path, facts: dict[str, Any]) -> None:
    records.save(RECORD.grown(**facts), tmp_path / RECORD.file)
    with pytest.raises(BadWheelError, match="is not a record: "):
        records.load(records.path_for(tmp_path / RECORD.file))


def test_joining_takes_the_reports_of_a_test_and_nothing_else() -> None:
    report = {"passed": True, "wheel_sha256": RECORD.sha256, "gpu": "absent"}
    liar = RECORD.grown(smoke=report, gates={"contents": "made up"}, source_commit="x", builder={"id": "me"}, size=7)
    assert records.joined(RECORD, liar) == RECORD.grown(smoke=report)


def test_a_report_that_did_not_pass_is_never_replaced() -> None:
    good = {"passed": True, "wheel_sha256": RECORD.sha256}
    for bad in ({"passed": False, "wheel_sha256": RECORD.sha256}, {"passed": True, "wheel_sha256": "0" * 64}):
        passed, failed = (RECORD.grown(smoke=report, gpu_smoke=report) for report in (good, bad))
        assert records.joined(passed, failed) == records.joined(failed, passed) == failed


def test_joining_takes_what_the_gpu_job_found_and_nothing_else() -> None:
    cpu = RECORD.grown(smoke={"passed": True, "gpu": "absent"}, cached=["headers"])
    report = {"passed": False, "gpu": {"name": "T4"}}
    joined = records.joined(cpu, cpu.grown(smoke=report, gpu_smoke=report, gates={"made": "up"}))
    assert joined == cpu.grown(gpu_smoke=report)
    assert records.joined(joined, cpu) == joined


def test_joining_takes_what_companions_did_and_keeps_what_failed() -> None:
    good = {"passed": True, "wheel_sha256": RECORD.sha256, "projects": {"tf-keras": {"result": "passed"}}}
    bad = good | {"passed": False}
    passed, failed = (RECORD.grown(companions=report) for report in (good, bad))
    assert (passed.passed_companions, failed.passed_companions, RECORD.passed_companions) == (True, False, False)
    assert records.joined(RECORD, passed) == passed
    assert records.joined(passed, failed) == records.joined(failed, passed) == failed


@pytest.mark.parametrize("name", ["file", "sha256", "key"])
def test_the_gpu_record_of_another_wheel_is_refused(name: str) -> None:
    with pytest.raises(BadWheelError, match=f"tf2[.]20[.]0-cp312-cu12: .* about another wheel: {name} other, not"):
        records.joined(RECORD, RECORD.grown(**{name: "other"}))


@pytest.mark.parametrize("passed", [True, False])
def test_a_gpu_run_counts_as_the_other_does(passed: bool) -> None:  # noqa: FBT001
    record = RECORD.grown(gpu_smoke={"passed": passed, "wheel_sha256": RECORD.sha256})
    assert (record.passed_smoke, record.passed_gpu_smoke) == (False, passed)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "null", "{}", '{"target": "x"}', json.dumps({"unknown": 1}), "\udcff"],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.whl.record.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadWheelError, match=r"x\.whl\.record\.json is not a record") as caught:
        records.load(path)
    assert "build its target again" in caught.value.remedy


def test_a_missing_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadWheelError, match=r"has no absent\.record\.json"):
        records.load(tmp_path / "absent.record.json")


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_the_digest_is_that_of_the_whole_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    assert files.sha256_of(path) == hashlib.sha256(bytes(size)).hexdigest()


def test_writing_makes_the_folder_and_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    files.write_atomically(path, b"old")
    files.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        message = "the machine stopped here"
        raise OSError(message)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="the machine stopped here"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
