"""The doctor as one file for the site, ``doctor.py``: the modules of its room, one after the other; pure.

In one file all modules share their names, so no two may define the same one; a module imports names of the room, never
a module. Imports of the room are left out, those of the standard library stand together at the beginning.
"""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from tfwheel.system.sources import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "doctor.py"
ROOM = "tfwheel.doctor"
LAST = "program"
NOQA = re.compile(r"  # (?:noqa|type): .*$| -{5,}$|\n(?=\n\n)", re.MULTILINE)  # of no use to users
HEAD = '''\
#!/usr/bin/env python3
"""{sentence}

{usage}
"""

from __future__ import annotations

'''


def render(base_url: str) -> dict[str, bytes]:
    """Render ``{"doctor.py": bytes}``; ``base_url`` is where the site is, with a slash at its end, or empty."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(_room().glob("*.py"))}
    modules = {name: ast.parse(text) for name, text in texts.items() if name != "__init__"}
    order = [*TopologicalSorter({name: sorted(_needed(tree)) for name, tree in modules.items()}).static_order()]
    main = ast.get_docstring(modules[LAST]) or ""
    sentence, _, usage = main.partition("\n")
    imports = sorted({line for tree in modules.values() for line in _imports(tree)}, key=_import_order)
    bodies = [
        f"# --- {name} ---\n# {_sentence(modules[name])}\n\n{_body(texts[name], modules[name])}" for name in order
    ]
    bodies[-1] = bodies[-1].replace('BASE_URL = ""', f"BASE_URL = {base_url!r}".replace("'", '"'))
    text = HEAD.format(sentence=sentence, usage=usage.strip()) + "\n".join(imports) + "\n\n" + "\n\n".join(bodies)
    return {NAME: text.encode()}


def _room() -> Path:
    """Return the folder of the room, by a call that the keys of cached files see."""
    return program("doctor.program").parent


def _sentence(tree: ast.Module) -> str:
    """Return the first sentence of a module's docstring."""
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def _needed(tree: ast.Module) -> set[str]:
    """Return the modules of the room that a module imports."""
    found = {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    return {name.rpartition(".")[2] for name in found if name.startswith(f"{ROOM}.")}


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (ast.unparse(ast.Import([alias])) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(("__future__", ROOM)):
            yield from (ast.unparse(ast.ImportFrom(node.module, [alias], 0)) for alias in node.names)


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _body(text: str, tree: ast.Module) -> str:
    """Return a module without docstrings, imports, the annotations of functions and what it imports for them."""
    lines = text.splitlines()
    for number, start, end in sorted(_annotations(lines, tree), reverse=True):
        lines[number] = lines[number][:start] + lines[number][end:]
    left_out = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom)) or _for_annotations(node)]
    documented = [one for one in ast.walk(tree) if isinstance(one, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    left_out += [one.body[0] for one in documented if ast.get_docstring(one) and len(one.body) > 1]
    for node in left_out:
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = "\0"
    return NOQA.sub("", "\n".join(line for line in lines if line != "\0")).strip() + "\n"


def _annotations(lines: list[str], tree: ast.Module) -> Iterator[tuple[int, int, int]]:
    """Yield line, start and end of each annotation of a function that is on one line, with the sign before it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation and node.lineno == node.annotation.end_lineno:
            yield node.lineno - 1, node.col_offset + len(node.arg), node.annotation.end_col_offset or 0
        if isinstance(node, ast.FunctionDef) and node.returns and node.returns.lineno == node.returns.end_lineno:
            number = node.returns.lineno - 1
            start = lines[number].rindex(" ->", 0, node.returns.col_offset)
            yield number, start, node.returns.end_col_offset or 0


def _for_annotations(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
