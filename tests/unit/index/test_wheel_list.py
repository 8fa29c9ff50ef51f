"""The list of wheels for programs: what the ledger says, what else is known, and null for the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

import pagedata
from tfwheel.config.paths import ROOT
from tfwheel.doctor import listing as doctor_listing
from tfwheel.doctor.selector import select
from tfwheel.index import wheel_list

if TYPE_CHECKING:
    import pytest

ENTRIES = pagedata.release()
SHAPE = json.loads((ROOT / "tests" / "data" / "selector_wheels.json").read_bytes())


def render(**changes: Any) -> bytes:  # noqa: ANN401 -- as the parameters
    facts: dict[str, Any] = {
        "entries": ENTRIES,
        "lines": pagedata.LINES,
        "runtimes": pagedata.RUNTIMES,
        "known": pagedata.KNOWN,
        "gpus": pagedata.GPUS,
        "base_url": pagedata.BASE_URL,
        "fits": {},
    } | changes
    return wheel_list.encode(wheel_list.listing(facts.pop("entries"), **facts))["wheels.json"]


def test_it_has_the_keys_of_the_cases_that_the_selector_is_held_to() -> None:
    found = json.loads(render())
    assert set(found) == set(SHAPE)
    for key in ("gpus", "runtimes", "lines", "wheels"):
        assert {*found[key][0]} == {*SHAPE[key][0]}, key


def test_the_doctor_reads_it_and_chooses_from_it() -> None:
    found = doctor_listing.checked_listing(render(), "x")
    environment = {"python": "3.13", "gpu": "7.5", "runtime": "2026.08", "colab": True, "cuda": True, "notebook": True}
    choice = select(environment, found)
    assert choice.command == f'%pip install --extra-index-url {pagedata.BASE_URL}cu12/ "tensorflow==2.20.0+cu125.2"'
    assert "Not checked against runtime 2026.08." in choice.notes


def test_what_else_is_known_of_a_file_stands_beside_it() -> None:
    fit = {"2026.08": {"verdict": "breaks", "reasons": ["because"], "changes": []}}
    one = msgspec.structs.replace(ENTRIES[0], gencode="5.28.3", requires=("numpy>=2",))
    listed = render(entries=[one, *ENTRIES[1:]], fits={one.file: fit})
    found = {wheel["file"]: wheel for wheel in json.loads(listed)["wheels"]}
    first, second = (found[entry.file] for entry in ENTRIES[:2])
    assert (first["fit"], first["gencode"], first["requires"]) == (fit, "5.28.3", ["numpy>=2"])
    assert (second["fit"], second["gencode"], second["requires"]) == ({}, None, [])


def test_the_reason_of_a_yank_is_one_printable_line() -> None:
    one = msgspec.structs.replace(ENTRIES[0], yanked="wrong\n\tlabel\u00a0\u202e!")
    listed = doctor_listing.checked_listing(render(entries=[one, *ENTRIES[1:]]), "x")
    assert "wrong label !" in [wheel["yanked"] for wheel in listed["wheels"]]


def test_order_says_nothing_and_what_is_removed_is_left_out() -> None:
    assert render(entries=ENTRIES[::-1]) == render()
    gone = msgspec.structs.replace(ENTRIES[0], removed="wrong")
    assert ENTRIES[0].file not in render(entries=[gone, *ENTRIES[1:]]).decode()


def test_a_wheel_is_where_its_page_says() -> None:
    away = msgspec.structs.replace(ENTRIES[0], url=f"https://example.org/files/{ENTRIES[0].file}")
    found = {wheel["file"]: wheel["href"] for wheel in json.loads(render(entries=[away, ENTRIES[1]]))["wheels"]}
    assert found[away.file] == away.url
    assert found[ENTRIES[1].file] == f"cu12/tensorflow/{ENTRIES[1].file.replace('+', '%2B')}"


def test_a_very_long_ledger_gives_its_newest_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_list, "MOST", 3)
    assert len(json.loads(render())["wheels"]) == 3


def test_without_runtimes_gpus_and_wheels_it_is_a_list_too() -> None:
    found = doctor_listing.checked_listing(render(entries=[], runtimes=(), gpus=(), base_url=""), "x")
    assert found["wheels"] == found["runtimes"] == found["lines"] == []
