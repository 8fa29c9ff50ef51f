"""Programs in strings, and docstrings, name modules and names that are there: no linter sees into strings."""

from __future__ import annotations

import ast
import importlib
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

import docpages
from tfwheel.config.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMPORT = re.compile(r"(?:^|[\n;] *)from (tfwheel(?:\.\w+)*) import (\w+(?:, \w+)*)")
IMAGINARY = ROOT / "tests" / "unit" / "system" / "test_sources.py"  # it writes a small package of its own


def imports() -> Iterator[tuple[str, str, str]]:
    """Each import of the product in a string: where it is, the module, and the name that is wanted of it."""
    for folder in ("scripts", "tests"):
        for path in sorted(set((ROOT / folder).rglob("*.py")) - {IMAGINARY}):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    for module, names in IMPORT.findall(node.value):
                        yield from ((str(path.relative_to(ROOT)), module, name) for name in names.split(", "))


@pytest.mark.parametrize(("place", "module", "name"), sorted(set(imports())))
def test_what_a_program_in_a_string_imports_is_there(place: str, module: str, name: str) -> None:
    found = importlib.import_module(module)
    assert hasattr(found, name) or find_spec(f"{module}.{name}"), place


def test_there_are_such_programs() -> None:
    assert len(set(imports())) > 5


DOOR = re.compile(r"\b(?:scripts/)?(\w+)\.py\b")
SESSIONS = {words[0] for words in docpages.sessions().values() if words}  # the doors that a session enters


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").rglob("*.py")), ids=lambda path: path.stem)
def test_what_users_are_told_to_run_is_a_session_where_there_is_one(path: Path) -> None:
    texts = [
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    ]
    assert not {door for text in texts for door in DOOR.findall(text)} & SESSIONS


# --- names in docstrings ---------------------------------------------------------------------------------

PACKAGE = ROOT / "scripts" / "tfwheel"
PRODUCT = {
    path.stem: ".".join(path.relative_to(ROOT / "scripts").with_suffix("").parts) for path in PACKAGE.rglob("*.py")
}
OTHERS = {"smoke_checks", "pip", "files"}  # not to be imported here, or words with other meanings too
NAMED = re.compile(r"``([a-z_]+)\.([A-Za-z_]+)(?:\(\))?``")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_what_a_docstring_names_is_there(path: Path) -> None:
    for module, name in NAMED.findall(path.read_text(encoding="utf-8")):
        if module in PRODUCT and name not in {"json", "toml", "py"} and module not in OTHERS:
            assert hasattr(importlib.import_module(PRODUCT[module]), name), f"{module}.{name}"
