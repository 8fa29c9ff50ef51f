"""What cannot be made of an official wheel is said when the configuration is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smallconfig import BASES, LINES, RETARGET, TARGETS, load, refusal, swap

if TYPE_CHECKING:
    from pathlib import Path

PIN = "\"nvidia-cuda-runtime-cu12{} ; extra == 'and-cuda'\""


def test_a_line_that_can_be_made_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, lines=RETARGET).lines["cu12"].retarget


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'archs = ["120", "70", "80"]',
            'archs = ["120", "70", "80", "86"]',
            "has neither sm_86 nor PTX to make it of; it has sm_70, sm_80, sm_89, sm_90, compute_90",
        ),
        (
            'archs = ["120", "70", "80"]\ngenerated = ["120", "70"]',
            'archs = ["75"]\ngenerated = ["75"]',
            "`cu12.retarget.archs` has 75, and",
        ),
        (
            'ptx = "90"\ntools',
            'ptx = "80"\ntools',
            "`cu12.retarget.ptx` is 80, and TensorFlow 2.20.0 has neither compute_80",
        ),
        (
            'ptx = "90"\ntools',
            'libraries = ["libtensorflow_cc.so.2", "x.so"]\ntools',
            "`cu12.retarget.libraries` names x.so, and TensorFlow 2.20.0 has no such library with GPU code",
        ),
    ],
)
def test_what_a_line_asks_for_and_cannot_have_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in refusal(tmp_path, lines=swap(RETARGET, old, new))


def test_a_compiler_of_the_parts_of_pypi_is_for_cuda_12(tmp_path: Path) -> None:
    newer = swap(LINES, 'base = "tensorflow"\ncuda = "12.5.1"', 'base = "tensorflow-cuda13"\ncuda = "13.0.2"')
    newer = swap(swap(newer, "[cu12]", "[cu13]"), '"cu125"', '"cu130"')
    targets = TARGETS.replace('"cu12"', '"cu13"')
    said = refusal(tmp_path, lines=newer, targets=targets, bases=None)
    assert said.startswith("lines.toml: `cu13.cuda` is 13.0.2, and the compiler that is made of the parts in `toolkit`")
    load(tmp_path, lines=swap(newer, 'toolkit = ["nvidia-nvfatbin-cu12==12.5.82"]', ""), targets=targets, bases=None)


def test_all_libraries_are_those_of_the_lock(tmp_path: Path) -> None:
    every = swap(RETARGET, 'xla = "12.8"', 'libraries = "all"')
    assert load(tmp_path, lines=every).lines["cu12"].retarget
    none = BASES[: BASES.index("[base.archs]")]
    said = refusal(tmp_path, lines=every, bases=none)
    assert said == "lines.toml: `cu12.retarget` is for GPU code, and TensorFlow 2.20.0 has no library with any"


def test_the_search_path_must_be_one_that_leads_to_the_packages_of_pip(tmp_path: Path) -> None:
    line = swap(LINES, "[cu12]", "[cu12]\nrpath = true")
    assert refusal(tmp_path, lines=line) == (
        "lines.toml: `cu12.rpath` is for libraries that find NVIDIA's packages of pip by their RUNPATH, "
        "and TensorFlow 2.20.0 has none"
    )
    path = '"tensorflow/libtensorflow_cc.so.2" = "$ORIGIN/../nvidia/cuda_runtime/lib"'
    leading = swap(BASES, '"tensorflow/a.so" = "$ORIGIN"', path)
    assert load(tmp_path, lines=line, bases=leading).lines["cu12"].rpath
    assert not load(tmp_path, bases=leading).lines["cu12"].rpath


def test_generated_code_is_judged_by_itself(tmp_path: Path) -> None:
    less = swap(BASES, 'generated = ["sm_70", ', "generated = [")
    assert "`cu12.retarget.generated` has 70, and" in refusal(tmp_path, lines=RETARGET, bases=less)


@pytest.mark.parametrize(("pin", "built"), [("==12.3.101", "12.3"), (">=12.6.77,<13", "12.6")])
def test_a_line_has_the_cuda_of_its_official_wheel(tmp_path: Path, pin: str, built: str) -> None:
    said = refusal(tmp_path, bases=swap(BASES, '"numpy>=1.26.0"', PIN.format(pin)))
    assert said == f"lines.toml: `cu12.cuda` is 12.5.1, and official TensorFlow 2.20.0 is built with {built}"


@pytest.mark.parametrize("pin", ["==12.5.82", "<13.0,>=12.5.82", "==12.*", ""])
def test_the_same_cuda_or_one_that_nobody_says_is_taken(tmp_path: Path, pin: str) -> None:
    assert load(tmp_path, bases=swap(BASES, '"numpy>=1.26.0"', PIN.format(pin))).lines["cu12"].cuda == "12.5.1"
