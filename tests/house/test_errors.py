"""Scripts can tell the kinds of errors apart by exit code, and every error says what to do next."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

import errorclasses
from errorclasses import classes, is_raised, kind_of
from tfwheel import cli
from tfwheel.build.errors import CompileError
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import ROOT
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.errors import FactoryError

SCRIPTS = ROOT / "scripts"
# Codes that stood for a kind of their own once: a script may still know them.
RETIRED = {
    *range(12, 20), 32, *range(34, 37), *range(43, 50), *range(51, 60), 61, 70, *range(74, 79), 86,
    *range(102, 110), *range(111, 119), 120, 123, 124,
}  # fmt: skip
STANDALONE = {"NvFatbinError", "NvccError", "ListingError"}  # of programs that run where this package is not installed


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """All modules of the product and its equipment but those that define the errors."""
    for path in sorted(SCRIPTS.rglob("*.py")):
        if path.name != "errors.py":
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def made(tree: ast.Module) -> set[str]:
    """The names that a module calls, or hands to a function that will call them."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    nodes = [node for call in calls for node in (call.func, *call.args, *(keyword.value for keyword in call.keywords))]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


MADE = {path: made(tree) for path, tree in trees()}


def test_each_kind_has_an_exit_code_of_its_own() -> None:
    kinds = {error for error in classes() if kind_of(error) is error}
    codes = {kind.exit_code for kind in kinds}
    assert len(codes) == len(kinds)
    assert all(2 < code < 126 or code == 130 for code in codes), "the shell uses the others"
    assert not codes & RETIRED


@pytest.mark.parametrize("error", list(classes()), ids=lambda error: error.__name__)
def test_every_error_has_a_kind_a_sentence_and_a_remedy(error: type[FactoryError]) -> None:
    kind = kind_of(error)
    assert error.__name__.endswith("Error")
    assert kind is not None
    assert error.__doc__
    assert error.__doc__.partition("\n\n")[0].rstrip().endswith(".")
    if is_raised(error):
        remedies = [vars(one).get("default_remedy", "") for one in (error, kind)]
        assert any(remedy.endswith(".") for remedy in remedies)


@pytest.mark.parametrize("error", list(classes()), ids=lambda error: error.__name__)
def test_every_error_is_raised_in_its_room_and_a_kind_that_only_groups_is_not(error: type[FactoryError]) -> None:
    folder = SCRIPTS.joinpath(*error.__module__.split(".")[:-1])
    places = [path for path, names in MADE.items() if error.__name__ in names]
    assert any(path.is_relative_to(folder) for path in places) is is_raised(error)
    assert is_raised(error) or error.__subclasses__()


def test_errors_are_defined_in_the_errors_modules_alone() -> None:
    found = {node.name for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    assert {name for name in found if name.endswith(("Error", "Exception"))} == STANDALONE


def test_the_page_of_exit_codes_is_that_of_these_errors(
    pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    cli._report(CompileError("fused_ops.cu: expected a `;`"))
    found = errorclasses.page(capsys.readouterr().err.rstrip())
    if pytestconfig.getoption("--update-golden"):
        errorclasses.PAGE.write_text(found, encoding="utf-8")
    assert found == errorclasses.PAGE.read_text(encoding="utf-8"), "if that was meant: pytest --update-golden"


def test_an_error_says_what_is_wrong_and_what_to_do() -> None:
    error = ConfigError("targets.toml: unknown key `buidl`")
    assert str(error) == f"targets.toml: unknown key `buidl`\n  remedy: {ConfigError.default_remedy}"


def test_code_that_raises_may_give_a_better_remedy() -> None:
    assert ConfigError("x", remedy="Write it.").remedy == "Write it."


def test_the_output_of_a_failed_command_stays_with_the_error() -> None:
    error = CommandError("`ld` ended with exit code 1", output="ld: no such file", returncode=1, remedy="Install it.")
    assert (error.output, error.returncode, error.remedy) == ("ld: no such file", 1, "Install it.")
