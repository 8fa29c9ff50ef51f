"""What a module depends on is read from its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.system import sources

if TYPE_CHECKING:
    from pathlib import Path

MODULES = {
    "room.top": (
        "from tfwheel.room import middle  # noqa: X\nfrom tfwheel.room.middle import (\n    one,  # why\n    two,\n)\n"
    ),
    "room.middle": (
        "import os\n\nfrom tfwheel.errors import Error\n\n\ndef later() -> None:\n    from tfwheel.other import leaf\n"
    ),
    "room.shown": 'SCRIPT = program("other.script")\n',
    "room.typed": (
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from tfwheel.other import leaf\n\n"
        "    from tfwheel.room import top\n\nVALUE = 1\n"
    ),
    "room.round": "from tfwheel.room import circle\n",
    "room.circle": "from tfwheel.room import round\n",
    "other.leaf": "VALUE = 1\n",
    "other.script": "import numpy\n",
    "errors": "class Error(Exception): ...\n",
}


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small product in place of this one."""
    for name, text in MODULES.items():
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    forget()
    return tmp_path


def forget() -> None:
    for function in (sources.digest, sources._imported, sources._sha256):
        function.cache_clear()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("other.leaf", ("other.leaf",)),
        ("room.top", ("errors", "other.leaf", "room.middle", "room.top")),
        ("tfwheel.room.middle", ("errors", "other.leaf", "room.middle")),
        ("room.shown", ("other.script", "room.shown")),
        ("room.typed", ("room.typed",)),
        ("room.round", ("room.circle", "room.round")),
    ],
)
def test_a_module_depends_on_all_that_it_imports_or_starts(name: str, expected: tuple[str, ...]) -> None:
    assert sources.closure(name) == expected


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        (("room.middle",), ("room.top",)),  # nor what only that one imports
        (("other",), ("errors", "room.middle", "room.top")),
        (("errors", "other.leaf"), ("room.middle", "room.top")),
    ],
)
def test_what_is_left_out_is_left_out_with_all_behind_it(without: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert sources.closure("room.top", without=without) == expected


@pytest.mark.parametrize(("name", "counts"), [("room.middle", True), ("other.leaf", True), ("room.shown", False)])
def test_a_digest_changes_with_each_module_that_counts_and_with_no_other(
    package: Path, name: str, *, counts: bool
) -> None:
    before = sources.digest("room.top")
    with (package / f"{name.replace('.', '/')}.py").open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    forget()
    assert (sources.digest("room.top") != before) is counts


def test_the_same_text_under_another_name_is_another_digest() -> None:
    assert sources.digest("room.round") != sources.digest("room.circle", without=("room.round",))


def test_a_module_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        sources.digest("room.none")
