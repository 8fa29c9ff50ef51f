"""Refuses test programs of custom-op projects that would pass without having run a test.

A test is started as ``python PROGRAM``. A file that was written for pytest alone defines tests, and ends.
"""

from __future__ import annotations

import ast
import platform
import warnings
from typing import TYPE_CHECKING

from tfwheel.build.errors import OpsSourceError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RUNNERS = {"main", "run", "globals", "locals", "vars"}  # what starts tests without naming them: unittest.main()
REMEDY = (
    'End it with `if __name__ == "__main__":` and what runs its tests: `tf.test.main()` or `unittest.main()` for test '
    "cases, calls for functions. `pytest.main([__file__])` needs pytest, which users' environments lack."
)
INERT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Pass, ast.Delete)
ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign)


def require_running(tests: Iterable[tuple[str, Path]]) -> None:
    """Raise OpsSourceError, with the project and the file, for a test that runs nothing or is no Python."""
    for project, path in tests:
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(path.read_bytes(), filename=path.name)
        except (SyntaxError, ValueError, RecursionError) as error:
            place = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            said = error.msg if isinstance(error, SyntaxError) else error
            message = f"the test {path} of the custom-op project `{project}` is no program of Python "
            message += f"{platform.python_version()}{place}: {said}"
            raise OpsSourceError(
                message, remedy="Correct the file, or take it out of `tests` of that project."
            ) from error
        if not runs_something(tree):
            message = f"the test {path} of the custom-op project `{project}` would pass without having run anything: "
            message += "it only imports and defines, as for pytest to find its tests"
            raise OpsSourceError(message, remedy=REMEDY)


def runs_something(tree: ast.Module) -> bool:
    """Return whether a program does something when it is started: its tests, if it defines any.

    Where it defines tests, settings (``np.random.seed(0)``) alone are not enough: a statement has to have to do with
    something that is defined in the file, to call a runner, or to be behind ``if __name__ == "__main__":``.
    """
    known = _names_of_code(tree)
    return any(_runs(statement, known if _has_tests(tree) else None) for statement in tree.body)


def _has_tests(tree: ast.Module) -> bool:
    """Return whether pytest would find tests: functions ``test*``, classes ``Test*``, and those of test cases."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and (node.name.startswith("Test") or any(map(_is_case, node.bases))):
            return True
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            return True
    return False


def _is_case(base: ast.expr) -> bool:
    return ast.unparse(base).endswith("TestCase")


def _names_of_code(tree: ast.Module) -> set[str]:
    """Return the names of what is defined in a program, and of what is made of it: ``SUITE = [test_a, test_b]``."""
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "iter", None) or getattr(node, "value", None)
        if isinstance(value, ast.expr) and _mentions(value, found | RUNNERS):
            found |= {one.id for target in targets if target for one in ast.walk(target) if isinstance(one, ast.Name)}
    return found


def _runs(statement: ast.stmt, known: set[str] | None) -> bool:
    """Return whether a statement does something; with ``known``, something that has to do with these names."""
    if isinstance(statement, INERT) or _is_text(statement):
        return False
    if isinstance(statement, ast.If) and _mentions(statement.test, {"__name__"}):
        return any(_runs(one, None) for one in _parts(statement))
    if parts := _parts(statement):
        return any(_runs(part, known) for part in parts)
    if isinstance(statement, ASSIGNMENTS):
        calls = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
        return any(_mentions(call, RUNNERS) for call in calls)
    return known is None or isinstance(statement, ast.Assert) or _mentions(statement, known | RUNNERS)


def _parts(statement: ast.stmt) -> list[ast.stmt]:
    """Return the statements in a compound one, such as ``try``."""
    found = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    found += [handler.body for handler in getattr(statement, "handlers", [])]
    found += [case.body for case in getattr(statement, "cases", [])]
    return [part for parts in found for part in parts]


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _mentions(node: ast.AST, names: set[str]) -> bool:
    """Return whether one of these names is in an expression, alone or behind a dot."""
    found = {one.id if isinstance(one, ast.Name) else getattr(one, "attr", "") for one in ast.walk(node)}
    return bool(found & names)
