"""The product's own source as an input: which modules a module depends on, and a digest of them all.

What is cached is made by some module, so its key takes the digest of that module and of all that it imports. Nobody
keeps a list of them: a module that is imported for the first time counts from then on.
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
    """The file of a module that is run as a program of its own instead of imported ("checks.smoke_checks").

    Whoever calls this depends on that module as on one that it imports: write the name out.
    """
    return PACKAGE / f"{name.replace('.', '/')}.py"


def closure(name: str, *, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A module of the product ("build.pipeline") and all that it imports, by itself or through others, sorted.

    Imports that are there only for annotations do not count. ``without`` names modules, or rooms, that do not count
    either, nor what only they import. A full module name, as ``__name__`` has it, will do.
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
    """Digest of the source of a module and of its ``closure``."""
    lines = (f"{module}\0{_sha256(program(module))}\n" for module in closure(name, without=without))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """The modules of the product that a file imports, or starts as programs.

    Read from the text, which takes a tenth of the time of parsing it; the formatter sees to it that there is one form.
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
