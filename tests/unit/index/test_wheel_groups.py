from __future__ import annotations

from typing import Any

import pytest

import pagedata
from tfwheel.index import wheel_groups


def groups(*entries: Any, **fits: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- lines of a ledger, fits by file
    listing = pagedata.listing(list(entries), fits=fits)
    wheels = {wheel["file"]: wheel for wheel in listing["wheels"]}
    pairs = [(wheels[entry.file], entry) for entry in entries]
    return wheel_groups.groups(pairs, listing, gpus=pagedata.GPUS, material=frozenset())


def row(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- as the fields
    line = changes.pop("line", "cu12")
    found: dict[str, Any] = groups(pagedata.entry("2.20.0+cu125.1", "312", line, **changes))[0]["wheels"][0]
    return found


@pytest.mark.parametrize(
    ("smoke", "said"),
    [
        (None, "never run"),
        ({"passed": True, "python": "3.12.1"}, "Python 3.12.1"),
        ({"passed": True, "date": "2026-11-21T04:00:00Z"}, "2026-11-21"),
        ({"passed": True}, "passed"),
        ({"passed": False, "python": "3.12.1"}, "not passed, Python 3.12.1"),
    ],
)
def test_evidence_is_said_as_far_as_it_goes(smoke: dict[str, Any] | None, said: str) -> None:
    assert row(smoke=smoke)["smoke"] == said
    assert row(smoke=smoke, line="cpu", gpu_code={})["evidence"] == f"CPU smoke test: {said}."


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"passed": True, "gpu": "Tesla T4"}, "GPU: Tesla T4"),
        ({"passed": True, "gpu": {"name": "Tesla T4"}, "date": "2026-01-02"}, "GPU: Tesla T4, 2026-01-02"),
        ({"passed": False, "gpu": {"name": "Tesla T4"}}, "not passed, GPU: Tesla T4"),
        ({}, "never run on a GPU"),
        (None, "never run on a GPU"),
    ],
)
def test_gpu_evidence_may_be_a_name_or_a_table(report: dict[str, Any] | None, said: str) -> None:
    found = row(gpu_smoke=report)
    assert found["gpu_smoke"] == said
    assert found["evidence"].endswith(f". {said[0].upper()}{said[1:]}.")


def test_wheels_are_together_by_project_version_and_line() -> None:
    entries = [pagedata.entry("2.20.0+cu125.1", python, "cu12") for python in ("313", "312")]
    entries += [pagedata.entry("2.20.0+cpu.1", "313", "cpu"), pagedata.entry("2.20.0+cu125.1", None, "cu12")]
    found = groups(*entries)
    assert [(group["project"], group["line"], len(group["wheels"])) for group in found] == [
        ("tensorflow", "cu12", 2),
        ("tensorflow", "cpu", 1),
        ("tfwheel-ops", "cu12", 1),
    ]
    assert found[2]["wheels"][0]["python"] == "any Python 3"


def test_a_group_serves_what_each_of_its_wheels_serves() -> None:
    wide = pagedata.entry("2.20.0+cu125.1", "313", "cu12")
    narrow = pagedata.entry("2.20.0+cu125.1", "312", "cu12", gpu_code=pagedata.T4)
    assert groups(wide)[0]["gpus"] == ["T4", "A100", "L4", "H100", "G4"]
    assert groups(wide, narrow)[0]["gpus"] == ["T4"]
    assert "GeForce RTX 20" in groups(wide, narrow)[0]["also"]


def test_a_runtime_is_judged_by_the_wheel_for_its_python() -> None:
    entries = [pagedata.entry("2.20.0+cu125.1", python, "cu12") for python in ("313", "312")]
    other = {"verdict": "breaks", "reasons": ["for another Python"], "changes": []}
    changes = {"verdict": "changes", "reasons": [], "changes": [["keras", "3.10.0", "3.13.2"], ["rich", None, "14"]]}
    fits = {
        entries[0].file: {"2026.08": changes, "2026.07": other},
        entries[1].file: {"2026.08": other, "2026.07": {"verdict": "fits", "reasons": [], "changes": []}},
    }
    found = groups(*entries, **fits)[0]
    assert [(fit["runtime"], fit["words"]) for fit in found["fits"]] == [("2026.08", "changes 2"), ("2026.07", "fits")]
    assert found["reasons"] == [("2026.08", "keras 3.10.0 -> 3.13.2; rich none -> 14")]
