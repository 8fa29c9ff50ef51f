"""Programs that stand in a string name modules and names that are there: no linter sees into strings."""

from __future__ import annotations

import ast
import importlib
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tfwheel.config.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

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
