from __future__ import annotations

import pytest

from tfwheel.publish import dependency_confusion
from tfwheel.publish.errors import UnclaimedNameError
from tfwheel.system.errors import DownloadError

METADATA = b"""\
Metadata-Version: 2.4
Name: tensorflow
Version: 2.20.0+cu125.1
Requires-Dist: numpy>=1.26.0
Requires-Dist: Opt_Einsum>=2.3.2
Requires-Dist: nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == "and-cuda"
"""


def test_every_project_and_every_requirement_is_asked_about_once_by_its_normalized_name() -> None:
    found = dependency_confusion.names([METADATA, METADATA])
    assert found == {"tensorflow", "numpy", "opt-einsum", "nvidia-cudnn-cu12"}


def test_names_that_somebody_has_pass() -> None:
    asked: list[str] = []

    def is_claimed(name: str) -> bool:
        asked.append(name)
        return True

    dependency_confusion.check({"b", "a"}, acknowledged=(), is_claimed=is_claimed)
    assert asked == ["a", "b"]


def test_all_free_names_are_named_at_once() -> None:
    with pytest.raises(UnclaimedNameError, match="alpha, gamma") as caught:
        dependency_confusion.check(
            {"gamma", "alpha", "numpy"}, acknowledged=(), is_claimed=lambda name: name == "numpy"
        )
    assert "index.toml" in caught.value.remedy


def test_an_acknowledged_name_may_be_free_in_any_spelling() -> None:
    dependency_confusion.check({"tfwheel-ops"}, acknowledged={"TFWheel_Ops": "a reason"}, is_claimed=lambda _: False)


def test_an_index_that_does_not_answer_is_no_leave() -> None:
    def is_claimed(_: str) -> bool:
        message = "no route"
        raise DownloadError(message)

    with pytest.raises(DownloadError, match="no route"):
        dependency_confusion.check({"numpy"}, acknowledged=(), is_claimed=is_claimed)
