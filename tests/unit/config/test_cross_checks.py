"""What several files of the configuration must agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smallconfig import BASES, LINES, RETARGET, TARGETS, XLA, load, refusal, swap
from tfwheel.config import plan
from tfwheel.config.errors import ConfigError, NotLockedError

if TYPE_CHECKING:
    from pathlib import Path


def test_two_lines_with_one_label_are_refused(tmp_path: Path) -> None:
    slim = LINES + '\n[cu12slim]\nlabel = "cu125"\nbase = "tensorflow"\ncuda = "12.5.1"\narchs = ["89"]\n'
    assert refusal(tmp_path, lines=slim).startswith("lines.toml: `cu12` and `cu12slim` have the same label, `cu125`")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('label = "cu125"', 'label = "cu130"', "`cu12.label` is cu130, and its `cuda` is 12.5.1"),
        ('label = "cpu"', 'label = "cu125x"', "`cpu.label` is cu125x, and its `cuda` is none"),
        ('cuda = "12.5.1"', 'cuda = "12.6.1"', "`cu12.label` is cu125, and its `cuda` is 12.6.1"),
        ("[cu12]", "[cu13]", "the line `cu13` is built as CUDA 13, and its `cuda` is 12.5.1"),
    ],
)
def test_a_line_that_is_called_by_another_cuda_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert refusal(tmp_path, lines=swap(LINES, old, new)).startswith(f"lines.toml: {said}")


@pytest.mark.parametrize(("folder", "hint"), [("2.20", "did you mean `2.20.0`"), ("9.9.9", "known: 2.20.0")])
def test_patches_for_a_version_that_is_not_built_are_refused(tmp_path: Path, folder: str, hint: str) -> None:
    (tmp_path / "patches" / folder).mkdir(parents=True)
    said = refusal(tmp_path)
    assert said.startswith(f"patches/{folder}: targets.toml builds no TensorFlow {folder}")
    assert hint in said


def test_a_line_that_no_session_builds_is_refused(tmp_path: Path) -> None:
    named = refusal(tmp_path, lines=LINES.replace("[cu12]", "[l4]"), targets=TARGETS.replace('"cu12"', '"l4"'))
    assert "no nox session builds the line `l4`: its name begins with none of cpu, cu12, cu13" in named


def test_a_thin_wheel_for_the_gpu_code_of_another_project_is_refused(tmp_path: Path) -> None:
    lines = LINES.replace('base = "tensorflow"\n', 'base = "tensorflow-cuda13"\n')
    load(tmp_path, lines=lines, bases=None)  # as an overlay, it is called `tensorflow` itself
    targets = TARGETS.replace('lines = ["cu12", "cpu"]', 'lines = ["cu12", "cpu"]\nbuilder = "ops"')
    said = refusal(tmp_path, lines=lines, targets=targets, bases=None)
    assert "on the line `cu12` is the thin wheel with the ops, which requires `tensorflow`" in said
    assert "and not tensorflow-cuda13, whose CUDA the line has" in said
    load(tmp_path, targets=targets)  # of a GPU line of `tensorflow`, and of CPUs from `tensorflow-cpu`


def test_a_target_of_whose_xla_nothing_is_known_is_not_locked(tmp_path: Path) -> None:
    settings = load(tmp_path, lines=RETARGET, xla=None)
    target = plan.find(plan.targets(settings), "tf2.20.0-cp312-cu12")
    with pytest.raises(NotLockedError, match="not known how XLA in TensorFlow") as caught:
        plan.base_of(settings, target)
    assert "`nox -s xla-ceiling -- 2.20.0`" in str(caught.value.remedy)
    for known in (load(tmp_path / "with", lines=RETARGET), load(tmp_path / "without", xla=None)):
        assert plan.base_of(known, plan.find(plan.targets(known), target.id)).version == "2.20.0"


def test_a_file_of_xla_says_one_thing(tmp_path: Path) -> None:
    both = swap(XLA, 'cuda = "12.8"', 'unsupported = "it never does"\ncuda = "12.8"')
    assert "have one of `unneeded`, `unsupported`, or edits" in refusal(tmp_path, lines=RETARGET, xla=both)
    nothing = XLA.partition("cuda =")[0] + 'unsupported = "it never does"'
    assert load(tmp_path, lines=RETARGET, xla=nothing).lines["cu12"].retarget


UNNEEDED = XLA.partition("cuda =")[0] + 'cuda = "12.5"\nunneeded = "XLA was built with CUDA 12.5.0, which will do"'


@pytest.mark.parametrize("file", [XLA, UNNEEDED])
def test_a_file_about_another_cuda_version_does_not_count(tmp_path: Path, file: str) -> None:
    settings = load(tmp_path, lines=swap(RETARGET, 'xla = "12.8"', 'xla = "12.9"'), xla=file)
    target = plan.find(plan.targets(settings), "tf2.20.0-cp312-cu12")
    assert plan.locked(settings, target) is None
    with pytest.raises(NotLockedError, match=r"not known how XLA in TensorFlow 2\.20\.0 is raised to CUDA 12\.9"):
        plan.base_of(settings, target)


def test_two_lines_that_ask_for_different_things_of_one_xla_are_refused(tmp_path: Path) -> None:
    more = RETARGET.partition("[cu12]")[2].replace('"cu125"', '"cu125b"').replace("[cu12.", "[cu12b.")
    lines = f"{RETARGET}\n[cu12b]\n" + swap(more, 'xla = "12.8"', 'xla = "12.9"')
    said = refusal(tmp_path, lines=lines, targets=swap(TARGETS, '["cu12", "cpu"]', '["cu12", "cu12b", "cpu"]'))
    assert "for TensorFlow 2.20.0, `cu12b.retarget.xla` is 12.9, and `cu12.retarget.xla` is 12.8" in said


def test_a_damaged_file_of_xla_is_to_be_deleted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, lines=RETARGET, xla="garbage")
    assert caught.value.remedy == "Delete that file, and run `nox -s xla-ceiling -- 2.20.0`, which writes it."


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("cp312-cp312", "cp311-cp311", "is not tensorflow 2.20.0 for Python 3.12"),
        ("tensorflow-2.20.0-", "keras-2.20.0-", "is not tensorflow 2.20.0 for Python 3.12"),
        ("tensorflow-2.20.0-", "tensorflow-2.21.0-", "is not tensorflow 2.20.0 for Python 3.12"),
        ("-cp312-cp312", "", "Invalid wheel filename"),
        (BASES, BASES * 2, "tensorflow 2.20.0 for Python 3.12 is locked twice"),
    ],
)
def test_a_lock_is_of_the_file_it_names(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert words in refusal(tmp_path, bases=swap(BASES, old, new))


@pytest.mark.parametrize(
    ("requires", "official", "words"),
    [
        ('"a<2", "A>1"', "b", "`release[0].requires` names `a` 2 times: a<2; A>1"),
        ('"a<2", "a>1; python_version<\'3.12\'"', "b", "`release[0].requires` names `a` 2 times"),
        ("\"a<2; extra=='x'\", \"a>1; extra=='x'\"", "b", "`release[0].requires` names `a` 2 times"),
        (
            "\"NumPy<2; extra=='x'\"",
            "numpy>=1.26.0",
            "and the official `numpy>=1.26.0`, which needs no extra, would stay",
        ),
    ],
)
def test_two_requirements_of_one_name_never_stand_side_by_side(
    tmp_path: Path, requires: str, official: str, words: str
) -> None:
    targets = swap(TARGETS, '"protobuf>=5.28,<6"', requires)
    assert words in refusal(tmp_path, targets=targets, bases=swap(BASES, "numpy>=1.26.0", official))


@pytest.mark.parametrize(
    "requires", ['"numpy<2"', "\"a<2; python_version<'3.12'\", \"a>1; python_version>='3.12'\"", "\"a; extra=='x'\""]
)
def test_requirements_that_leave_none_beside_them_are_read(tmp_path: Path, requires: str) -> None:
    assert load(tmp_path, targets=swap(TARGETS, '"protobuf>=5.28,<6"', requires)).releases[0].requires


def test_patches_that_are_no_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / "2.20.0").write_text("")
    assert refusal(tmp_path) == "patches/2.20.0 is not a folder"
    (tmp_path / "patches" / "2.20.0").unlink()
    (tmp_path / "patches").rmdir()
    (tmp_path / "patches").write_text("")
    assert refusal(tmp_path) == "patches cannot be read: Not a directory"
