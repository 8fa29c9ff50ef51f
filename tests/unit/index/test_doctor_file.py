"""The doctor as one file: small, whole, the same each time, and with the address of its site."""

from __future__ import annotations

import ast
import builtins
import sys
from collections import Counter

import pytest

from tfwheel.index import doctor_file

TEXT = doctor_file.render("https://example.org/index/")["doctor.py"].decode()
TREE = ast.parse(TEXT, feature_version=(3, 6))  # a Python parses it all before it says that it is too old


def defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def test_it_is_small_and_equal_each_time() -> None:
    assert len(TEXT.encode()) < 100_000
    assert doctor_file.render("https://example.org/index/")["doctor.py"].decode() == TEXT


def test_no_two_modules_define_one_name() -> None:
    assert [
        name for name, count in Counter(name for node in TREE.body for name in defined(node)).items() if count > 1
    ] == []


def test_every_name_is_defined_in_it_or_in_python() -> None:
    known = {name for node in ast.walk(TREE) for name in _names_made(node)} | set(dir(builtins)) | {"__file__"}
    used = {node.id for node in ast.walk(TREE) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    annotations = {
        node.id
        for one in ast.walk(TREE)
        for part in _annotations(one)
        for node in ast.walk(part)
        if isinstance(node, ast.Name)
    }
    assert used - known - annotations == set()


def _annotations(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.returns] if node.returns else []
    found = node.annotation if isinstance(node, (ast.arg, ast.AnnAssign)) else None
    return [found] if found else []


def _names_made(node: ast.AST) -> set[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.ExceptHandler):
        return {node.name} if node.name else set()
    return {node.id} if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) else set()


def test_it_needs_the_standard_library_alone() -> None:
    imported = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name.split(".")[0]
        for node in ast.walk(TREE)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert imported <= sys.stdlib_module_names
    assert "tfwheel.doctor" not in TEXT


@pytest.mark.parametrize("address", ["", "https://example.org/index/"])
def test_it_knows_where_it_came_from(address: str) -> None:
    text = doctor_file.render(address)["doctor.py"].decode()
    assert text.count("BASE_URL = ") == 1
    assert f'\nBASE_URL = "{address}"\n' in text


def test_it_says_which_python_it_needs_before_anything_that_an_older_one_lacks() -> None:
    first, second = TREE.body[1:3]
    assert ast.unparse(first) == "import sys"
    assert ast.unparse(second).startswith("if sys.version_info < (3, 9):")
    assert "    sys.exit(7)" in ast.unparse(second)


def test_annotations_are_left_out_but_those_of_data_classes() -> None:
    fields = [node for one in TREE.body if isinstance(one, ast.ClassDef) for node in one.body]
    annotated = [node for node in ast.walk(TREE) if isinstance(node, ast.AnnAssign)]
    assert annotated
    assert all(node in fields and isinstance(node.annotation, ast.Constant) for node in annotated)
    assert not [node for node in ast.walk(TREE) if _annotations(node) and node not in annotated]


def test_it_says_how_it_is_used_before_anything_else() -> None:
    assert "curl -fsSL URL/doctor.py | python3 -" in (ast.get_docstring(TREE) or "")
