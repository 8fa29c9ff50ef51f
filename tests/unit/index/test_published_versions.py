"""A published version stands for one set of inputs: another is refused, with the number that is free."""

from __future__ import annotations

import pytest

from ledgers import entry
from tfwheel.index import published_versions
from tfwheel.index.errors import NameTakenError

OLD, NEW = "a" * 64, "b" * 64
TARGET = "tf2.20.0-cp312-cu12"


def check(*known: object, inputs: str = NEW, target: str = TARGET) -> None:
    published_versions.check(known, version="2.20.0+cu125.2", inputs=inputs, target=target, ledger="index/ledger.jsonl")


def test_the_same_inputs_unknown_ones_and_other_versions_are_no_hindrance() -> None:
    check()
    check(entry(2, inputs=NEW), entry(2, inputs=""), entry(1, inputs=OLD), entry(20, inputs=OLD))
    check(entry(2, inputs=OLD), inputs="")


@pytest.mark.parametrize("target", [TARGET, "tf2.20.0-cp311-cu12", "ops-tf2.20.0-cu12"])
def test_other_inputs_are_refused_for_every_python_of_the_version(target: str) -> None:
    with pytest.raises(NameTakenError, match=r"2\.20\.0\+cu125\.2 is published from other ops") as caught:
        check(entry(2, inputs=OLD), entry(7, inputs=OLD), entry(3, inputs=OLD), target=target)
    assert "Raise `build` to 8 in build_config/targets.toml" in caught.value.remedy
    assert "TensorFlow 2.20.0" in caught.value.remedy


def test_a_removed_file_of_the_target_is_never_built_again() -> None:
    check(entry(2, inputs=NEW, removed="broken"), target="tf2.20.0-cp311-cu12")
    with pytest.raises(NameTakenError, match=r"was removed \(broken\)") as caught:
        check(entry(2, inputs=NEW, removed="broken"))
    assert "to 3 in" in caught.value.remedy
