"""The doctor as one file for the site, ``doctor.py``: the modules of its room, one after the other; pure.

In one file all modules share their names, so no two may define the same one; a module imports names of the room, never
a module. Imports of the room are left out, those of the standard library stand together at the beginning.

The first lines say which Python it needs. A Python parses a file before it runs any of it, so that the whole file is in
the syntax of Python 3.6: the room has no `:=`, and annotations are left out here, but for those of data classes.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from graphlib import TopologicalSorter
from itertools import accumulate
from typing import TYPE_CHECKING

from tfwheel.system.sources import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "doctor.py"
ROOM = "tfwheel.doctor"
LAST = "program"
TYPING = "from typing import TYPE_CHECKING"
SPACE = re.compile(r"\n(?=\n\n)")  # between functions one empty line is enough
HEAD = '''\
#!/usr/bin/env python3
"""{sentence}

{usage}
"""

import sys

if sys.version_info < (3, 9):
    sys.stderr.write(
        "doctor: this program needs Python 3.9 or newer, and this is Python %d.%d: "
        "run it with a newer one, such as python3.12\\n" % sys.version_info[:2]
    )
    sys.exit(7)

'''


def render(base_url: str) -> dict[str, bytes]:
    """Render ``{"doctor.py": bytes}``; ``base_url`` is where the site is, with a slash at its end, or empty."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(_room().glob("*.py"))}
    modules = {name: ast.parse(text) for name, text in texts.items() if name != "__init__"}
    order = [*TopologicalSorter({name: sorted(_needed(tree)) for name, tree in modules.items()}).static_order()]
    main = ast.get_docstring(modules[LAST]) or ""
    sentence, _, usage = main.partition("\n")
    wanted = {line for tree in modules.values() for line in _imports(tree)} - {"import sys", TYPING}
    imports = sorted(wanted, key=_import_order)
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
    """Return a module without docstrings, comments, its imports, and what it imports for annotations."""
    lines = _without_comments(_without_annotations(text, tree)).splitlines()
    left_out = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom)) or _for_annotations(node)]
    documented = [one for one in ast.walk(tree) if isinstance(one, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    left_out += [one.body[0] for one in documented if ast.get_docstring(one) and len(one.body) > 1]
    for node in left_out:
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = "\0"
    return _narrow(SPACE.sub("", "\n".join(line for line in lines if line != "\0")).strip() + "\n")


def _narrow(text: str) -> str:
    """Return a module indented by two spaces where it was by four, but for lines inside of texts."""
    lines = text.split("\n")
    inside = {
        number
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.STRING
        for number in range(token.start[0], token.end[0])
    }
    for number, line in enumerate(lines):
        if number not in inside:
            lines[number] = " " * ((len(line) - len(line.lstrip(" "))) // 2) + line.lstrip(" ")
    return "\n".join(lines)


def _without_comments(text: str) -> str:
    """Return a module without comments, line for line; a line that was one is the mark of what is left out."""
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            number, column = token.start
            lines[number - 1] = lines[number - 1][:column].rstrip() or "\0"
    return "\n".join(lines)


def _without_annotations(text: str, tree: ast.Module) -> str:
    """Return a module without annotations, line for line; the fields of classes need some, and keep theirs as text."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    starts = [0, *accumulate(map(len, lines))]
    data = b"".join(lines)

    def place(line: int | None, column: int | None) -> int:
        return starts[(line or 1) - 1] + (column or 0)

    fields = {id(node) for one in ast.walk(tree) if isinstance(one, ast.ClassDef) for node in one.body}
    cuts: list[tuple[int, int, bytes]] = []
    for node in ast.walk(tree):
        found = node.returns if isinstance(node, ast.FunctionDef) else getattr(node, "annotation", None)
        if found is None:
            continue
        begin, end = place(found.lineno, found.col_offset), place(found.end_lineno, found.end_col_offset)
        if id(node) in fields and isinstance(node, ast.AnnAssign):
            cuts.append((begin, end, f'"{ast.unparse(found)}"'.encode()))
        else:
            sign = data.rindex(b"->" if isinstance(node, ast.FunctionDef) else b":", 0, begin)
            cuts.append((len(data[:sign].rstrip()), end, b""))
    for begin, end, instead in sorted(cuts, reverse=True):
        data = data[:begin] + instead + data[end:]
    return data.decode()


def _for_annotations(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
