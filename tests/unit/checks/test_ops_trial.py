"""Which ops of a wheel are tried, and what becomes of the answers."""

from __future__ import annotations

import json
from concurrent.futures import Future
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

import fakewheels
from tfwheel.checks import ops_trial
from tfwheel.checks.environments import Environment
from tfwheel.checks.ops_trial import OpsUnderTest
from tfwheel.config.targets import OpsRules
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import Programs

if TYPE_CHECKING:
    from pathlib import Path

RULES = OpsRules(
    packages=("mine", "theirs"),
    autoload={"mine": True, "theirs": False, "theirs/_late.so": True, "mine/helper.so": False},
)
THIN = (
    "mine/__init__.py",
    "mine/_ops.so",
    "mine/helper.so",
    "mine/lib.so.1",
    "mine/fast.cpython-312-x86_64-linux-gnu.so",
)
THEIRS = ("theirs/__init__.py", "theirs/_late.so", "theirs/_ops.so", "theirs/fast.abi3.so")
LIBRARIES = ("mine/_ops.so", "mine/helper.so", "theirs/_late.so", "theirs/_ops.so")


def a_wheel(folder: Path, names: tuple[str, ...]) -> Path:
    return fakewheels.write_wheel(folder, dict.fromkeys(names, b""), name="ops", version="1", tag="py3-none-any")


def test_a_thin_wheel_is_tried_as_it_is_and_nothing_loads_by_itself(tmp_path: Path) -> None:
    found = OpsUnderTest.of(a_wheel(tmp_path, (*THIN, *THEIRS)), RULES, {"p": [tmp_path / "t.py"]})
    assert found == OpsUnderTest(packages=("mine", "theirs"), libraries=LIBRARIES, tests=(("p", tmp_path / "t.py"),))


def test_a_merged_wheel_is_tried_by_the_names_that_users_have(tmp_path: Path) -> None:
    names = ("mine.py", "theirs.py", "tensorflow/__init__.py", *(f"_{name}" for name in (*THIN, *THEIRS)))
    found = OpsUnderTest.of(a_wheel(tmp_path, names), RULES, {})
    assert (found.packages, found.libraries) == (("mine", "theirs"), LIBRARIES)
    assert found.autoloaded == ("mine/_ops.so", "theirs/_late.so")


def test_a_wheel_without_the_packages_has_nothing_to_try(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path, ("tensorflow/__init__.py", "tensorflow/core/kernels/x.so"))
    assert OpsUnderTest.of(wheel, RULES, {"p": [tmp_path / "t.py"]}) == OpsUnderTest()


class Answering(Environment):
    """An environment whose programs answer with what is in ``answers``, by way and device."""

    answers: dict[str, Any]
    asked: list[list[str]]

    def run(self, *words: str | Path) -> str:
        texts = list(map(str, words))
        self.asked.append(texts)
        way, device = texts[3], texts[texts.index("--device") + 1]
        answer = self.answers[f"{way} {device}"]
        if answer is None:
            message = "`python` ended with exit code -11"
            raise CommandError(message, returncode=-11, output="check load ...")
        passed = all(check["passed"] for check in answer["checks"])
        (self.folder / f"ops-{way}.json").write_text(json.dumps({"passed": passed, **answer}))
        if not passed:
            message = "`python` ended with exit code 1"
            raise CommandError(message, returncode=1)
        return ""


def environment(folder: Path, answers: dict[str, Any], *, gpu: bool = False) -> Answering:
    made = Answering(
        folder=folder, log=folder / "log", gpus=[{"name": "T4"}] if gpu else [], making=Future(), programs=Programs()
    )
    object.__setattr__(made, "answers", answers)
    object.__setattr__(made, "asked", [])
    return made


def check(name: str, device: str, *, passed: bool = True) -> dict[str, Any]:
    return {"name": name, "device": device, "passed": passed, "detail": "x"}


def test_what_ran_where_is_gathered_from_all_processes(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text("")
    ops = OpsUnderTest(
        packages=("mine",), libraries=("mine/_ops.so",), autoloaded=("mine/_ops.so",), tests=(("p", tmp_path / "t.py"),)
    )
    kernels = {"A": ["CPU", "GPU"], "B": ["CPU"]}
    loaded = {"use": [check("load mine/_ops.so", "CPU:0") | {"detail": ["A", "B"]}], "test": [], "alone": []}
    answers = {
        f"{way} {device}": {
            "checks": [check(way, device), *loaded[way]],
            "ops": kernels if way == "use" else {},
            "ran": ran,
        }
        for device, ran in (("CPU:0", ["A", "MatMul"]), ("GPU:0", ["B"]))
        for way in ("use", "test", "alone")
    }
    found = ops_trial.run(ops, environment(tmp_path, answers, gpu=True))
    assert found["ops"] == {"A": {"kernels": ["CPU", "GPU"], "ran": ["CPU:0"]}, "B": {"kernels": ["CPU"], "ran": []}}
    assert [(one["name"], one["device"]) for one in found["checks"] if one["name"] in loaded] == [
        (way, device) for device in ("CPU:0", "GPU:0") for way in ("use", "test", "alone")
    ]
    assert found["reason"] is None
    assert ops_trial.not_run(found) == ["B"]


def test_tensorflow_alone_is_asked_for_the_ops_that_it_loads_by_itself_and_no_others(tmp_path: Path) -> None:
    ops = OpsUnderTest(packages=("a", "b"), libraries=("a/_a.so", "b/_b.so"), autoloaded=("a/_a.so",))
    loads = [check(f"load {name}/_{name}.so", "CPU:0") | {"detail": [name.upper()]} for name in "ab"]
    report = {"checks": loads, "ops": {"A": ["CPU"], "B": ["CPU"]}, "ran": []}
    made = environment(tmp_path, {"use CPU:0": report, "alone CPU:0": {"checks": [], "ops": {}, "ran": []}})
    ops_trial.run(ops, made)
    (alone,) = (words for words in made.asked if "alone" in words)
    assert [op for option, op in pairwise(alone) if option == "--op"] == ["A"]


def test_the_first_failure_is_the_reason(tmp_path: Path) -> None:
    answers = {"use CPU:0": {"checks": [check("load", "CPU:0", passed=False)], "ops": {}, "ran": None}}
    found = ops_trial.run(OpsUnderTest(packages=("mine",)), environment(tmp_path, answers))
    assert found["reason"] == "load on CPU:0: x"


def test_a_process_that_dies_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        ops_trial.run(OpsUnderTest(packages=("mine",)), environment(tmp_path, {"use CPU:0": None}))
