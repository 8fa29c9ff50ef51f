"""The selector, held to the table of cases that the page and the table of what fits are held to as well."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tfwheel.config.paths import ROOT
from tfwheel.doctor import selector, wheel_rules

DATA = ROOT / "tests" / "data"
LISTING = json.loads((DATA / "selector_wheels.json").read_bytes())
CASES = json.loads((DATA / "selector_cases.json").read_bytes())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_case(case: dict[str, Any]) -> None:
    options = {key: case[key] for key in ("project", "installer") if key in case}
    choice = selector.select(case["environment"], LISTING, **options)
    expect, rejected = case["expect"], dict(choice.rejected)
    assert (choice.wheel["file"] if choice.wheel else None) == expect["file"]
    assert choice.command == expect["command"]
    assert choice.official is expect["official"]
    assert (choice.advice is None) == (expect["advice"] is None)
    assert (expect["advice"] or "") in (choice.advice or "")
    for file, words in expect["reasons"].items():
        assert words in rejected[file]
    assert choice.restart == expect.get("restart", choice.restart)
    offered = [one["wheel"]["file"] for one in choice.alternatives]
    assert offered == expect.get("alternatives", offered)
    for words in expect.get("notes", []):
        assert any(words in note for note in choice.notes), choice.notes
    assert set(rejected) == {wheel["file"] for wheel in LISTING["wheels"]} - {expect["file"]}
    assert "$" not in (choice.command or "")


def test_each_rule_is_the_reason_in_some_case() -> None:
    rules = set()
    for case in CASES:
        wish = wheel_rules.wish_of(case["environment"], LISTING, case.get("project", "tensorflow"))
        for wheel in LISTING["wheels"]:
            rules |= {next((rule for rule in wheel_rules.RULES if rule(wheel, wish)), None)}
    assert rules == {*wheel_rules.RULES, None}


def test_the_smaller_wheel_says_what_it_is_for() -> None:
    choice = selector.select(CASES[0]["environment"], LISTING)
    assert [one["why"] for one in choice.alternatives] == ["T4 only, 358 MB instead of 616 MB"]
    assert choice.alternatives[0]["command"].endswith('/cu12t4/ "tensorflow==2.20.0+cu125t4.2"')


def test_the_site_may_be_elsewhere_than_its_listing_says() -> None:
    choice = selector.select(CASES[0]["environment"], LISTING, base="http://127.0.0.1:1/")
    assert (choice.command or "").startswith("%pip install --extra-index-url http://127.0.0.1:1/cu12/ ")


@pytest.mark.parametrize(("cuda", "extra"), [(["12"], ""), ([], "[and-cuda]"), (True, ""), (False, "[and-cuda]")])
def test_of_a_line_whose_cuda_is_unknown_any_cuda_is_enough(cuda: object, extra: str) -> None:
    case = next(one for one in CASES if one["name"] == "CUDA's libraries are there")
    unknown = {**LISTING, "lines": [{**line, "cuda": None} for line in LISTING["lines"]]}
    choice = selector.select({**case["environment"], "cuda": cuda}, unknown)
    assert f'"tensorflow{extra}==' in (choice.command or "")


def test_the_order_of_a_listing_says_nothing() -> None:
    for case in CASES:
        turned = {**LISTING, "wheels": LISTING["wheels"][::-1]}
        options = {"project": case.get("project", "tensorflow")}
        one, two = (selector.select(case["environment"], listing, **options) for listing in (LISTING, turned))
        assert one.wheel == two.wheel
        assert dict(one.rejected) == dict(two.rejected)
