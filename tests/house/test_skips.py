"""A test that skips says what is missing, and the command that brings it: nobody has to look for either."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

import needs
from tfwheel.build.errors import NoCompilerError
from tfwheel.config.paths import ROOT
from tfwheel.system.errors import ContainerEngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.errors import FactoryError

COMMAND = re.compile(r"`[^`]+`")
# An error of these classes says the command itself: for the compilers it is that of the distribution.
SAYING: dict[str, type[FactoryError]] = {
    "ContainerEngineError": ContainerEngineError,
    "NoCompilerError": NoCompilerError,
}
SKIPS = {"skip", "skipif", "importorskip", "SkipTest", "skipTest"}


def skips() -> Iterator[tuple[str, ast.Call, str]]:
    """Each place where tests are skipped, the call, and the class of the error that is being handled there."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        handled = {
            id(node): ast.unparse(handler.type) if handler.type else ""
            for handler in ast.walk(tree)
            if isinstance(handler, ast.ExceptHandler)
            for node in ast.walk(handler)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in SKIPS:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node, handled.get(id(node), "")


@pytest.mark.parametrize(("place", "call", "error"), [pytest.param(*found, id=found[0]) for found in skips()])
def test_a_skip_says_the_command_that_makes_it_run(place: str, call: ast.Call, error: str) -> None:
    reasons = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "reason")]
    reason = ast.unparse(reasons[-1])
    if reason == "str(error)":
        assert COMMAND.search(SAYING[error].default_remedy), place
    else:
        assert COMMAND.search(reason), place


def test_a_program_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    command = "`sudo apt-get install chromium chromium-driver`"
    with pytest.raises(pytest.skip.Exception, match=f"there is no chromium and no chromedriver here: run {command}"):
        needs.programs("chromium", "chromedriver")
