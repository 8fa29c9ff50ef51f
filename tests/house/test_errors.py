"""Every failure can be told apart by its exit code, and says what to do next."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import ROOT
from tfwheel.errors import FactoryError
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator


SCRIPTS = ROOT / "scripts"
for path in SCRIPTS.glob("*/**/errors.py"):
    importlib.import_module(".".join(path.relative_to(SCRIPTS).with_suffix("").parts))


def classes(parent: type[FactoryError] = FactoryError) -> Iterator[type[FactoryError]]:
    """All classes of failures."""
    for child in parent.__subclasses__():
        yield child
        yield from classes(child)


def test_exit_codes_are_unique_and_left_free_by_the_shell() -> None:
    codes = [error.exit_code for error in classes()]
    assert len(set(codes)) == len(codes)
    assert all(2 < code < 126 or code == 130 for code in codes)


@pytest.mark.parametrize("error", list(classes()), ids=lambda error: error.__name__)
def test_every_class_is_an_error_with_a_docstring_and_a_remedy_of_its_own(error: type[FactoryError]) -> None:
    assert error.__name__.endswith("Error")
    assert "exit_code" in vars(error)
    assert error.__doc__
    assert error.__doc__.rstrip().endswith(".")
    assert vars(error)["default_remedy"].endswith((".", ":", "`."))


def test_an_error_says_what_is_wrong_and_what_to_do() -> None:
    error = ConfigError("targets.toml: unknown key `buidl`")
    assert str(error) == f"targets.toml: unknown key `buidl`\n  remedy: {ConfigError.default_remedy}"


def test_the_place_that_raises_may_know_a_better_remedy() -> None:
    assert ConfigError("x", remedy="Write it.").remedy == "Write it."


def test_the_output_of_a_failed_command_stays_with_the_error() -> None:
    error = CommandError("`ld` ended with exit code 1", output="ld: no such file", returncode=1, remedy="Install it.")
    assert (error.output, error.returncode, error.remedy) == ("ld: no such file", 1, "Install it.")
