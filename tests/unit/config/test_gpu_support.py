"""What each GPU runs, held against lists written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fixedconfig import CONFIG
from tfwheel.config import build_config, gpu_support, plan, tables
from tfwheel.config.errors import ConfigError, NotLockedError
from tfwheel.config.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = plan.targets(CONFIG)
GPUS = gpu_support.of_colab(gpu_support.load(CONFIG.directory))
BIG = ("sm_60", "sm_70", "sm_80", "sm_89", "sm_90", "compute_90")
GENERATED = ("sm_60", "sm_70", "sm_80", "sm_89", "compute_90a")


@pytest.mark.parametrize(
    ("images", "capability", "runs"),
    [
        (BIG, (7, 5), "SASS sm_70"),
        (BIG, (8, 0), "SASS"),
        (BIG, (8, 6), "SASS sm_80"),
        (BIG, (8, 9), "SASS"),
        (BIG, (9, 0), "SASS"),
        (BIG, (12, 0), "PTX (JIT)"),
        (GENERATED, (9, 0), "PTX (JIT)"),
        (GENERATED, (12, 0), "nothing"),
        (GENERATED, (12, 1), "nothing"),
        (("sm_70", "sm_120"), (12, 0), "SASS"),
        (("sm_70", "sm_120"), (12, 1), "SASS sm_120"),
        (("sm_70", "sm_120"), (10, 0), "nothing"),
        (("sm_89",), (8, 0), "nothing"),
        (("compute_90",), (8, 9), "nothing"),
        (("compute_100f", "compute_80"), (12, 0), "PTX (JIT)"),
        ((), (8, 0), "nothing"),
        (("sm_90a",), (9, 0), "SASS"),
        (("sm_120a", "compute_120a"), (12, 1), "nothing"),
        (("sm_120f",), (12, 1), "SASS sm_120"),
        (("compute_100f",), (10, 3), "PTX (JIT)"),
        (("compute_100f",), (12, 0), "nothing"),
        (("compute_103f",), (10, 0), "nothing"),
        (("sm_8", "sm_80x", "80"), (8, 0), "nothing"),
    ],
)
def test_what_a_gpu_runs_of_some_images(images: tuple[str, ...], capability: tuple[int, int], runs: str) -> None:
    assert gpu_support.fit(images, capability) == runs


def test_each_kind_is_answered_and_one_that_is_missing_is_none() -> None:
    found = gpu_support.runs({"fatbin": BIG, "generated": GENERATED}, (12, 0))
    assert found == {"fatbin": "PTX (JIT)", "generated": "nothing", "ops": "none"}
    assert gpu_support.runs({"ops": ()}, (8, 0)) == dict.fromkeys(gpu_support.KINDS, "none")


@pytest.mark.parametrize(
    ("gpu_code", "capability", "served"),
    [
        ({"fatbin": BIG, "generated": GENERATED}, (9, 0), True),
        ({"fatbin": BIG, "generated": GENERATED}, (12, 0), False),
        ({"ops": ("sm_75",)}, (7, 5), True),
        ({"fatbin": BIG, "ops": ("sm_75",)}, (8, 0), False),
        ({}, (8, 0), False),
        ({"ops": ()}, (8, 0), False),
    ],
)
def test_a_gpu_is_served_where_it_runs_something_of_every_kind(
    gpu_code: dict[str, tuple[str, ...]], capability: tuple[int, int], *, served: bool
) -> None:
    assert gpu_support.serves(gpu_code, capability) is served


def test_the_gpus_are_those_that_colab_lends() -> None:
    found = {gpu.name: gpu.capability for gpu in GPUS}
    assert found == {"T4": (7, 5), "A100": (8, 0), "L4": (8, 9), "H100": (9, 0), "G4": (12, 0)}


def test_others_than_those_of_colab_are_known_by_name_and_machine() -> None:
    found = {gpu.name: gpu for gpu in gpu_support.load(CONFIG.directory)}
    assert found["GeForce RTX 50"].capability == (12, 0)
    assert found["P100"].capability == (6, 0)
    assert not found["P100"].colab
    assert (found["GB10"].machine, found["GeForce RTX 50"].machine) == ("aarch64", "x86_64")


def test_retargeting_is_what_makes_blackwell_run() -> None:
    rows = gpu_support.rows(CONFIG, TARGETS, GPUS)
    of_g4 = {(row[0], row[1]): row[4:6] for row in rows if row[2] == "G4"}
    assert of_g4["2.20.0", "official"] == ["PTX (JIT)", "nothing"]
    assert of_g4["2.20.0", "cu12"] == ["SASS", "SASS"]
    assert of_g4["2.21.0", "official"] == ["PTX (JIT)", "PTX (JIT)"]


def test_no_gpu_of_colab_is_left_without_on_the_line_for_all() -> None:
    rows = [row for row in gpu_support.rows(CONFIG, TARGETS, GPUS) if row[1] == "cu12"]
    assert len(rows) == 3 * len(GPUS)
    assert not [row for row in rows if gpu_support.NOTHING in row]


def test_lines_without_gpu_code_are_not_shown() -> None:
    assert "cpu" not in {row[1] for row in gpu_support.rows(CONFIG, TARGETS, GPUS)}


def test_a_line_that_is_not_retargeted_runs_what_the_official_wheel_runs() -> None:
    target = next(one for one in TARGETS if one.id == "tf2.20.0-cp312-cu12")
    plain = replace(target, line=replace(target.line, retarget=None))
    rows = gpu_support.rows(CONFIG, [plain], GPUS)
    official, ours = rows[: len(GPUS)], rows[len(GPUS) :]
    assert [row[3:6] for row in official] == [row[3:6] for row in ours]


def test_a_line_promises_what_its_retarget_asks_for_beside_the_ops() -> None:
    target = next(one for one in TARGETS if one.id == "tf2.20.0-cp312-cu12")
    base = plan.base_of(CONFIG, target)
    assert gpu_support.promised(target, base) == {
        "fatbin": ("sm_70", "sm_80", "sm_89", "sm_90", "sm_120", "compute_90"),
        "generated": ("sm_70", "sm_80", "sm_120", "compute_90"),
        "ops": ("sm_75", "sm_80", "sm_89", "sm_90", "compute_90"),
    }
    assert list(gpu_support.promised(target, None)) == ["ops"]


def test_where_a_core_library_stays_official_only_what_both_have_is_promised() -> None:
    target = next(one for one in TARGETS if one.id == "tf2.20.0-cp312-cu12")
    assert target.line.retarget
    part = target.line.retarget.model_copy(update={"libraries": ("libtensorflow_cc.so.2",)})
    found = gpu_support.retargeted(plan.base_of(CONFIG, target), replace(target.line, retarget=part))
    assert found["fatbin"] == ("sm_70", "sm_80", "sm_89", "sm_90", "compute_90")
    assert found["generated"] == ("sm_70", "sm_80")


def test_the_slim_line_and_the_line_without_a_gpu() -> None:
    slim, cpu = (
        next(one for one in TARGETS if one.id == name) for name in ("tf2.20.0-cp312-cu12t4", "tf2.20.0-cp312-cpu")
    )
    found = gpu_support.promised(slim, plan.base_of(CONFIG, slim))
    assert found == {"fatbin": ("sm_70",), "generated": ("sm_70",), "ops": ("sm_75",)}
    assert [gpu.name for gpu in GPUS if gpu_support.serves(found, gpu.capability)] == ["T4"]
    assert gpu_support.promised(cpu, plan.base_of(CONFIG, cpu)) == {}


def test_a_wheel_that_was_locked_before_there_were_families_must_be_locked_again() -> None:
    old = replace(CONFIG, bases=tuple(replace(base, families={}) for base in CONFIG.bases))
    with pytest.raises(NotLockedError, match="which kinds of GPU code") as caught:
        gpu_support.rows(old, TARGETS, GPUS)
    assert "update-pins -- --renew" in caught.value.remedy


@pytest.mark.parametrize("text", ["", '[[gpu]]\nname = "T4"\ncapability = 7.5\n', '[[gpu]]\nname = "T4"\n'])
def test_a_list_of_gpus_that_says_less_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "gpus.toml").write_text(text)
    with pytest.raises(ConfigError):
        gpu_support.load(tmp_path)


@pytest.mark.parametrize("name", ["README.md", "index/docs/gpu.md"])
def test_documents_show_the_table_as_it_is(name: str) -> None:
    config = build_config.load()
    targets = [target for target in plan.targets(config) if target.default and target.line.name == "cu12"]
    text = (ROOT / name).read_text(encoding="utf-8")
    gpus = gpu_support.of_colab(gpu_support.load(config.directory))
    table = tables.gpu_table(gpu_support.rows(config, targets, gpus))
    assert table in text, f"paste the output of `nox -s plan -- --gpus --default --line cu12` into {name}"
