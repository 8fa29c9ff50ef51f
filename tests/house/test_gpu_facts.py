"""The plan, the tables of the documents, the summary and the page say the same of every wheel and every GPU."""

from __future__ import annotations

import re

import pytest

import pagedata
from tfwheel.build import summary
from tfwheel.build.summary import SummaryRow
from tfwheel.config import build_config, gpu_support, plan, tables
from tfwheel.config.paths import ROOT
from tfwheel.index import landing_page
from tfwheel.wheel.records import Record

CONFIG = build_config.load()
GPUS = gpu_support.of_colab(gpu_support.load(CONFIG.directory))
TARGETS = {target.id: target for target in plan.targets(CONFIG) if target.builder != "source"}
KINDS = slice(4, 4 + len(gpu_support.KINDS))  # the columns with an answer for each kind of GPU code
Facts = dict[tuple[str, ...], list[str]]  # what a GPU runs, by what the wheel is called and by the GPU


def cells(text: str, *columns: str) -> list[list[str]]:
    """The rows of the first Markdown table in a text that begins with these columns."""
    lines = [line.strip() for line in text.splitlines()]
    parted = [[cell.strip() for cell in line[1:-1].split("|")] if line.startswith("|") else [] for line in lines]
    start = next(number for number, row in enumerate(parted) if row[: len(columns)] == list(columns)) + 2
    end = next((number for number in range(start, len(parted)) if not parted[number]), len(parted))
    return parted[start:end]


def planned() -> Facts:
    """What `nox -s plan -- --gpus` prints."""
    rows = cells(tables.text(CONFIG, kind="gpus"), *gpu_support.COLUMNS[:2])
    return {tuple(row[:3]): row[KINDS] for row in rows}


def found() -> dict[str, dict[str, list[str]]]:
    """The GPU code of every wheel, as its record has it once it has passed the gates."""
    return {
        target.id: {kind: list(images) for kind, images in promised.items()}
        for target in TARGETS.values()
        for promised in [gpu_support.promised(target, plan.base_of(CONFIG, target))]
    }


def page() -> dict[str, str]:
    """What the page says of the wheel of each target: the part about its version, by target."""
    entries = [
        pagedata.entry(
            target.version,
            target.python_tag[2:],
            target.line.name,
            target=target.id,
            gpu_code={kind: tuple(images) for kind, images in found()[target.id].items()},
        )
        for target in TARGETS.values()
    ]
    listing = pagedata.listing(entries, lines=CONFIG.lines, runtimes=(), gpus=GPUS)
    html = landing_page.render(entries, listing, gpus=GPUS)["index.html"].decode()
    groups = html.split("<article ")[1:]
    return {entry.target: group for entry in entries for group in groups if f'data-file="{entry.file}"' in group}


@pytest.mark.parametrize("name", ["README.md", "index/docs/gpu.md"])
def test_the_documents_say_what_the_plan_says(name: str) -> None:
    plan_says = planned()
    rows = cells((ROOT / name).read_text(encoding="utf-8"), *gpu_support.COLUMNS[:2], "GPU")
    assert len(rows) == 2 * len(GPUS)  # the official wheel, and the one of the line for all GPUs
    assert {tuple(row[:3]): row[KINDS] for row in rows}.items() <= plan_says.items()


def test_the_table_of_every_version_says_what_the_plan_says() -> None:
    rows = cells(tables.text(CONFIG, kind="gpus"), *gpu_support.COLUMNS[:2])
    kinds = {tuple(row[:3]): " / ".join(row[4:6]) for row in rows}
    xla = {row[0]: row[-1] for row in rows if row[2] == "G4"}
    text = (ROOT / "index/docs/gpu.md").read_text(encoding="utf-8").partition("## Every version")[2]
    said = cells(text, "TensorFlow", "line", "MB")
    assert {tuple(row[:2]) for row in said} | {("2.19.0", "cu12"), ("2.20.0", "cu12t4")} == {
        (target.tensorflow, target.line.name) for target in TARGETS.values() if target.line.cuda
    }
    for version, line, size, *by_gpu, on_g4 in said:
        official = [one.size for one in CONFIG.bases if (one.project, one.version) == ("tensorflow", version)]
        assert size.partition(" → ")[0] in {f"{one / 1e6:.1f}" for one in official}
        for gpu, words in zip(("L4", "H100", "G4"), by_gpu, strict=True):
            before, after = kinds[version, "official", gpu], kinds[version, line, gpu]
            assert words == (after if before == after else f"{before} → {after}")
        assert on_g4.removeprefix("ptxas ") in xla[version]
        assert kinds[version, line, "T4"] == kinds[version, "official", "T4"] == "SASS sm_70 / SASS sm_70"
    assert {row[-1] for row in rows if row[2] in ("T4", "L4", "H100")} == {"compiled there"}


def test_the_page_says_of_every_wheel_and_gpu_what_the_plan_says() -> None:
    groups, plan_says, compared = page(), planned(), 0
    for target in TARGETS.values():
        said = re.search(r'<span class="for">([^<]*)<', groups[target.id])
        names = said[1].split(", ") if said else []
        for gpu in GPUS:
            expected = plan_says.get((target.tensorflow, target.line.name, gpu.name), ["none"] * 3)
            served = "nothing" not in expected and set(expected) != {"none"}
            assert (gpu.name in names) is served, (target.id, gpu.name)  # so that a search for the GPU finds the wheel
            compared += 1
    assert compared == len(TARGETS) * len(GPUS)


def test_the_summary_says_of_every_wheel_and_gpu_what_the_plan_says() -> None:
    records = [
        Record(
            target=target.id,
            project="tensorflow",
            version=target.version,
            line=target.line.name,
            python=target.python,
            file="x.whl",
            sha256="ab" * 32,
            size=1,
            key="k",
            gpu_code=found()[target.id],
        )
        for target in TARGETS.values()
    ]
    text = summary.render([SummaryRow(target=record.target, record=record) for record in records], GPUS)
    rows = cells(text, "target", "GPU")
    expected = [
        [f"`{target.id}`", gpu.name, *planned()[target.tensorflow, target.line.name, gpu.name]]
        for target in TARGETS.values()
        if target.line.cuda
        for gpu in GPUS
    ]
    assert [[*row[:2], *row[3:]] for row in rows] == expected


def test_the_page_shows_the_code_of_a_retargeted_wheel_and_of_the_small_one() -> None:
    groups = page()
    assert "sm_70 sm_80 sm_120 ptx_90" in groups["tf2.20.0-cp313-cu12"]
    assert '<span class="for">T4</span>' in groups["tf2.20.0-cp312-cu12t4"]
    assert "sm_120" not in groups["tf2.20.0-cp312-cu12t4"]
