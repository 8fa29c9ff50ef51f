"""The companions of companions.toml: what is asked of pip, and what is refused before anything is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smallconfig import load, refusal
from tfwheel.config import build_config

if TYPE_CHECKING:
    from pathlib import Path

ONE = '[[companion]]\nproject = "tensorflow-text"\n'


def test_the_minor_of_a_tensorflow_is_put_into_requirements(tmp_path: Path) -> None:
    text = ONE + 'requirement = "tensorflow-text=={minor}.*"\nbeside = ["tf-keras~={minor}", "six"]\ncheck = "other"\n'
    (found,) = load(tmp_path, companions=text).companions
    assert found.requirements("2.20.0") == ["tensorflow-text==2.20.*", "tf-keras~=2.20", "six"]
    assert found.requirements("2.22.0rc0")[0] == "tensorflow-text==2.22.*"
    assert found.requirements("2.19.1+cu125.1")[0] == "tensorflow-text==2.19.*"
    assert found.check_name == "other"


def test_without_more_a_companion_is_its_newest_version_and_the_check_of_its_name(tmp_path: Path) -> None:
    (found,) = load(tmp_path, companions=ONE).companions
    assert found.requirements("2.20.0") == ["tensorflow-text"]
    assert found.check_name == "tensorflow-text"


def test_there_need_be_no_companions_and_this_project_has_some(tmp_path: Path) -> None:
    assert load(tmp_path).companions == ()
    assert "tensorflow-text" in {entry.project for entry in build_config.load().companions}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[companion]]\nproject = "Tensorflow_Text"\n', "the normalised name of a project"),
        (ONE + ONE, "tensorflow-text is a companion twice"),
        (ONE + 'requirement = "tf-keras"\n', "`companion[0].requirement` is for tf-keras, not for tensorflow-text"),
        (ONE + 'requirement = "tensorflow-text=={major}.*"\n', "`{minor}` is all that may be in braces"),
        (ONE + 'requirement = "tensorflow-text==={minor"\n', "`{minor}` is all that may be in braces"),
        (ONE + 'requirement = "tensorflow-text=={minor}.**"\n', "not a requirement"),
        (ONE + 'requirement = "tensorflow-text @ https://example.org/x.whl"\n', "without a URL and a marker"),
        (ONE + "beside = [\"six; python_version > '3'\"]\n", "without a URL and a marker"),
        (ONE + 'beside = ["--index-url=https://example.org"]\n', "not a requirement"),
        (ONE + 'beside = ["sé"]\n', "no ASCII text"),
        (ONE + "requirment = 1\n", "did you mean `requirement`?"),
        ("companion = 1\n", "`companion`"),
    ],
)
def test_what_pip_could_not_take_is_refused_when_it_is_read(tmp_path: Path, text: str, said: str) -> None:
    message = refusal(tmp_path, companions=text)
    assert said in message
    assert "companions.toml" in message
