from __future__ import annotations

from typing import Any

import pagedata
from tfwheel.doctor.selector import select
from tfwheel.index import command_tables

LISTING = pagedata.listing(pagedata.release(), fits=pagedata.fits())
TABLES = command_tables.tables(LISTING, pagedata.GPUS)


def row(title: str, gpu: str) -> dict[str, Any]:
    table = next(table for table in TABLES if table["title"] == title)
    return next(row for row in table["rows"] if gpu in row["gpus"].split(", "))


def text(install: dict[str, str]) -> str:
    address = f"{pagedata.BASE_URL}{install['line']}/" if install["line"] else ""
    return f"{install['before']}{address}{install['after']}"


def test_a_table_says_what_the_selector_says() -> None:
    compared = 0
    for gpu in pagedata.GPUS:
        capability = "{}.{}".format(*gpu.capability)
        for runtime in LISTING["runtimes"] if gpu.colab else ():
            choice = select({**command_tables.in_colab(runtime), "gpu": capability}, LISTING)
            found = row(f"Colab {runtime['name']}", gpu.name)
            assert (text(found["install"]) if found["install"] else None) == choice.command
            compared += 1
        for python in ("3.10", "3.12", "3.14") if gpu.machine == "x86_64" else ():
            choice = select({**command_tables.on_linux(python), "gpu": capability}, LISTING)
            found = row(f"Linux, Python {python}", gpu.name)
            assert (text(found["install"]) if found["install"] else None) == choice.command
            assert found["said"] == (choice.advice or "")
            compared += 1
    assert compared > 6 * 5 + 3 * 20


def test_gpus_with_the_same_command_share_a_row_and_a_smaller_wheel_has_its_own() -> None:
    table = next(table for table in TABLES if table["title"] == "Colab 2026.07")
    assert [(row["gpus"], row["install"]["line"], row["said"]) for row in table["rows"]] == [
        ("T4, A100, L4, H100, G4", "cu12", ""),
        ("T4", "cu12t4", "T4 only, 358 MB instead of 621 MB."),
        ("no GPU", "cpu", ""),
    ]
    assert table["constraints"] == "install/constraints-colab-2026.07.txt"


def test_who_has_no_wheel_is_told_what_to_do() -> None:
    official = row("Linux, Python 3.12", "P100")
    assert text(official["install"]) == 'pip install "tensorflow[and-cuda]==2.20.0"'
    assert row("Linux, Python 3.14", "no GPU")["said"].startswith("No wheel here is for Python 3.14.")
    assert row("Linux, Python 3.14", "no GPU")["install"] is None


def test_arm_machines_are_in_no_table_of_x86_64() -> None:
    assert not [row for table in TABLES for row in table["rows"] if "GB10" in row["gpus"]]


def test_every_python_with_a_wheel_is_there_beside_the_usual_ones() -> None:
    assert command_tables.pythons(LISTING) == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    newer = pagedata.listing([pagedata.entry("2.23.0+cpu.1", "315", "cpu")])
    assert command_tables.pythons(newer)[-1] == "3.15"


def test_without_wheels_there_is_no_table() -> None:
    assert command_tables.tables(pagedata.listing([]), pagedata.GPUS) == []


def test_many_builds_of_a_release_cost_as_much_as_one() -> None:
    builds = [pagedata.entry(f"2.20.0+cu125.{build}", "313", "cu12") for build in range(1, 12)]
    yanked = pagedata.entry("2.20.0+cu125.12", "313", "cu12", yanked="bad")
    listing = pagedata.listing([*builds, yanked])
    assert [wheel["version"] for wheel in command_tables.newest_builds(listing["wheels"])] == ["2.20.0+cu125.11"]
    other = pagedata.entry("2.20.0+cu125.10", "313", "cu12", gpu_code=pagedata.T4)
    assert len(command_tables.newest_builds(pagedata.listing([builds[-1], other])["wheels"])) == 2
