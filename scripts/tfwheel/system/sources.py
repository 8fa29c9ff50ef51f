"""Compute a digest of a module of this package and of all modules it depends on, for cache keys.

A module makes each cached file, so the file's key includes the digest of that module and of everything it imports. The
imports are read from the source: nobody has to keep a list.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
_FOR_ANNOTATIONS = re.compile(r"^if TYPE_CHECKING:\n(?:(?: .*)?\n)+", re.MULTILINE)
_IMPORT = re.compile(r"^ *(?:from (tfwheel[\w.]*) import (\([^)]*\)|.+)|import (tfwheel[\w.]*))", re.MULTILINE)
_PROGRAM = re.compile(r"\bprogram\(\s*\"([\w.]+)\"\s*\)")


def program(name: str) -> Path:
    """Return the file of a module that runs as a separate program ("checks.smoke_checks").

    A call counts as an import of that module, so write the name as a string literal: ``closure`` reads it.
    """
    return PACKAGE / f"{name.replace('.', '/')}.py"


def closure(name: str, *, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return a module of the product ("build.pipeline") and all modules it imports, directly or not, sorted.

    Imports for annotations alone do not count, nor do the modules or rooms in ``without`` and the modules that only
    they import. ``name`` may be a full module name, such as ``__name__``.
    """
    found: set[str] = set()
    waiting = [name.removeprefix("tfwheel.")]
    while waiting:
        module = waiting.pop()
        if module not in found and module not in without and module.partition(".")[0] not in without:
            found.add(module)
            waiting.extend(_imported(program(module)))
    return tuple(sorted(found))


@cache
def digest(name: str, *, without: tuple[str, ...] = ()) -> str:
    """Return a digest of the source of a module and of its ``closure``."""
    lines = (f"{module}\0{_sha256(program(module))}\n" for module in closure(name, without=without))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """Return the modules of the product that a file imports, or runs as programs.

    Searches the text, which takes a tenth of the time of parsing it; the formatter guarantees one form of import.
    """
    text = _FOR_ANNOTATIONS.sub("", path.read_text(encoding="utf-8"))
    found = _PROGRAM.findall(text)
    for package, names, whole in _IMPORT.findall(text):
        words = [name.split()[0] for name in re.sub(r"#.*|[()]", "", names).split(",") if name.split()]
        found += [
            module.removeprefix("tfwheel.") for module in (whole, package, *(f"{package}.{word}" for word in words))
        ]
    return tuple(module for module in found if program(module).is_file())


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
