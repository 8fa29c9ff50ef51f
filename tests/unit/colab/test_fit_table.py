"""Facts of planned and finished wheels, and the table of many wheels in many runtimes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

import fakewheels
from fixedconfig import CONFIG
from smallruntime import GPUS, KNOWN, RUNTIME, wheel
from tfwheel.colab import fit_table, wheel_facts
from tfwheel.colab.fit_table import Judge
from tfwheel.config import plan
from tfwheel.errors import BadWheelError

if TYPE_CHECKING:
    from pathlib import Path

OLDER = replace(RUNTIME, name="2025.07", python="3.11.13", date="2025-07-14", newest=False)
JUDGE = Judge(runtimes=(RUNTIME, OLDER), known=KNOWN, gpus=GPUS[:1])
MODULE = b"x.ValidateProtobufRuntimeVersion(x.Domain.PUBLIC, 5, 28, 3, '', 'x')"


def test_a_planned_wheel_has_the_facts_of_the_official_one_and_of_its_line() -> None:
    target = plan.find(plan.targets(CONFIG), "tf2.20.0-cp312-cu12")
    planned = wheel_facts.planned(CONFIG, target, KNOWN)
    assert planned
    assert (planned.version, planned.pythons, planned.gencode) == (target.version, ("3.12",), "5.28.3")
    assert "protobuf>=5.28.0" in planned.requires
    assert (planned.cuda, set(planned.gpu_code)) == ("12.5.1", {"fatbin", "generated", "ops"})


def test_a_requirement_of_a_release_takes_the_place_of_the_official_one() -> None:
    target = plan.find(plan.targets(CONFIG), "tf2.20.0-cp312-cu12")
    planned = wheel_facts.planned(CONFIG, replace(target, requires=("protobuf>=5.28,<6",)), KNOWN)
    assert planned
    assert [one for one in planned.requires if one.startswith("protobuf")] == ["protobuf>=5.28,<6"]


def test_a_target_that_is_not_locked_has_no_facts() -> None:
    target = plan.targets(CONFIG)[0]
    assert wheel_facts.planned(CONFIG, replace(target, tensorflow="2.99.0"), KNOWN) is None
    assert wheel_facts.planned(CONFIG, replace(target, builder="source"), KNOWN) is None


def test_a_finished_wheel_is_read_from_its_file(tmp_path: Path) -> None:
    extra = "Requires-Dist: numpy>=1.26.0\n"
    tag = "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64"
    members = {"tensorflow/x_pb2.py": MODULE}
    path = fakewheels.write_wheel(tmp_path, members, name="tensorflow", version="2.20.0+cu125.3", tag=tag, extra=extra)
    found = wheel_facts.built(path, gpu_code={"ops": ["sm_75"]}, cuda="12.5.1")
    assert found == replace(wheel(), requires=("numpy>=1.26.0",), gpu_code={"ops": ["sm_75"]})


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(BadWheelError, match="no-wheel is not the file name of a wheel"):
        wheel_facts.named("no-wheel")


def test_the_table_has_a_cell_for_each_runtime_and_the_reasons_below() -> None:
    wheels = [("a", wheel()), ("b", wheel(version="2.21.0")), ("c", wheel(requires=("gast",)))]
    text = fit_table.text(fit_table.of_wheels(wheels, JUDGE), JUDGE)
    assert [line.split("|")[3:5] for line in text.splitlines() if line.startswith(("| a", "| b", "| c"))] == [
        [" fits                  ", " other Python          "],
        [" breaks 1              ", " other Python          "],
        [" changes 1             ", " other Python          "],
    ]
    assert "The newest runtime known here is 2026.07, of 2026-07-14." in text
    assert (
        "- b in 2026.07: breaks 1: tf-keras 2.20.1 requires tensorflow<2.21,>=2.20, and gets tensorflow 2.21.0." in text
    )
    assert "current" not in text


def test_equal_reasons_of_several_wheels_are_said_once() -> None:
    wheels = [(name, wheel(requires=("gast",))) for name in ("a", "b")]
    assert (
        "- a, b in 2026.07: changes 1: gast 0.7.0 is added.\n"
        in fit_table.text(fit_table.of_wheels(wheels, JUDGE), JUDGE) + "\n"
    )


def test_of_many_reasons_the_first_are_shown_and_the_rest_is_counted() -> None:
    known = replace_requires({f"needs-{number}": {"1": ("tensorflow<2",)} for number in range(6)})
    runtime = replace(
        RUNTIME, pins={**RUNTIME.pins, **{f"needs-{number}": "1" for number in range(6)}, "tensorflow": "1.9"}
    )
    judge = Judge(runtimes=(runtime,), known=known)
    text = fit_table.text(fit_table.of_wheels([("a", wheel())], judge), judge)
    assert text.count("requires tensorflow<2, and gets tensorflow 2.20.0.") == fit_table.SHOWN
    (line,) = [line for line in text.splitlines() if line.startswith("- a in 2026.07: breaks 6: ")]
    assert line.endswith(" And 2 more.")
    assert "Why (`--json` has every reason):" in text
    assert text.endswith("not known (`nox -s update-distributions`):\n\n- 2026.07: tensorflow 1.9, tf-keras 2.20.1")


def test_what_breaks_and_what_changes_are_counted_apart() -> None:
    rows = fit_table.of_wheels([("a", wheel(requires=("protobuf>=6.31.1", "gast"), gencode="6.31.1"))], JUDGE)
    text = fit_table.text(rows, JUDGE)
    assert "| breaks 1 " in text
    assert "- a in 2026.07: breaks 1: grpcio-status 1.71.2 requires protobuf<6.0dev,>=5.26.1, and gets " in text
    assert "protobuf 6.33.0. Also changes 2: gast 0.7.0 is added. protobuf 5.29.6 becomes 6.33.0." in text
    found = json.loads(fit_table.as_json(rows, JUDGE))["wheels"][0]["fit"]["2026.07"]
    assert (len(found["breaks"]), len(found["changes"])) == (1, 2)
    assert found["reasons"][:1] == found["breaks"]


def replace_requires(requires: dict[str, dict[str, tuple[str, ...]]]) -> fit_table.Distributions:
    return msgspec.structs.replace(KNOWN, requires={**KNOWN.requires, **requires} | {"tf-keras": {}})


def test_what_is_wrong_without_a_wheel_is_apart() -> None:
    runtime = replace(RUNTIME, pins={**RUNTIME.pins, "needy": "1"})
    judge = Judge(runtimes=(runtime,), known=type(KNOWN)(requires={"needy": {"1": ("gast",)}}))
    text = fit_table.text([], judge)
    assert "There is no wheel to judge." in text
    assert text.endswith("of this index:\n\n- 2026.07: needy 1 requires gast, and it is not there.")


def test_json_has_the_same() -> None:
    found = json.loads(fit_table.as_json(fit_table.of_wheels([("a", wheel(requires=("gast",)))], JUDGE), JUDGE))
    assert found["wheels"][0]["fit"]["2026.07"] == {
        "verdict": "changes",
        "reasons": ["gast 0.7.0 is added."],
        "changes": [["gast", None, "0.7.0"]],
        "breaks": [],
        "notes": [],
    }
    assert [one["newest"] for one in found["runtimes"]] == [True, False]
    assert found["runtimes"][0]["companions"] == {"tf-keras": "2.20.1"}


def test_without_runtimes_nothing_is_judged(tmp_path: Path) -> None:
    judge = Judge.load(tmp_path)
    assert (judge.of(wheel()), judge.faults()) == ({}, {})
    assert "No runtime is known." in fit_table.text([], judge)
