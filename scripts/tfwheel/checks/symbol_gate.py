"""Prove that each library of a wheel finds its symbols when it is loaded beside the TensorFlow that it is for.

TensorFlow loads ops with RTLD_NOW and RTLD_LOCAL (load_library.cc), and Python does so with extension modules: a symbol
must be in what a library links, in what that links, or in the interpreter. What the process has beyond that does not
count. A weak symbol may be missing. The rules are those of ld.so(8) for scope and versions:

- In libraries of this and of the official wheel, name and version are looked up.
- A symbol with a version of a system library is there if the wheel's manylinux tag has that version (PEP 600): a linker
  copies versions from the library that has the symbol, and none is ever taken back. The same holds for libraries that
  repair.toml excludes, such as those of CUDA, which need not be here.
- A symbol without a version is looked up in the system libraries of this machine. Those of Python, and of CUDA's
  libraries without versions, are known by how their names begin.

In which folder a library lies that another one of the wheel links, auditwheel proves when it repairs the ops wheel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.checks import symbol_hints
from tfwheel.checks.errors import SymbolsGateError
from tfwheel.checks.linked_libraries import Libraries
from tfwheel.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfwheel.checks.opened_wheel import OpenedWheel

SHOWN = 5  # symbols in one message; the others are counted
UNKNOWN_REMEDY = (
    "Link it statically, or bring it in the package, where the RUNPATH of the library finds it; name it in "
    "repair.toml's `exclude` only if every user has it."
)


def symbols(opened_wheel: OpenedWheel) -> str:
    """Check that each of its own libraries finds the libraries and the symbols that it cannot do without."""
    if opened_wheel.beside is None:
        message = f"{opened_wheel.name} was opened without the official wheel that has the symbols of its libraries"
        raise ValueError(message)
    with scratch.folder("symbols") as folder:
        libraries = Libraries(opened_wheel=opened_wheel, official=opened_wheel.beside, folder=folder)
        for member in libraries.own:
            _check(member, libraries)
        count = sum(len(found.references) for _, found in libraries.own.values())
        return f"{count} symbols of {len(libraries.own)} libraries of its own, each in what they link"


def _check(member: str, libraries: Libraries) -> None:
    path, found = libraries.own[member]
    scope = libraries.scope(path, found)
    target, name = libraries.opened_wheel.target, libraries.opened_wheel.name
    if scope.unknown:
        message = (
            f"{name}: `{member}` needs {_list(scope.unknown)}, which is neither in this wheel, nor in TensorFlow "
            f"{target.tensorflow}, nor in {libraries.policy.name}, nor excluded by repair.toml"
        )
        raise SymbolsGateError(message, remedy=UNKNOWN_REMEDY)
    missing = [one for one in found.references if not libraries.has(one, scope)]
    if missing:
        more = [f"and {len(missing) - SHOWN} more"] if len(missing) > SHOWN else []
        shown = symbol_hints.explained(missing[:SHOWN], scope, libraries)
        message = (
            f"{name}: `{member}` does not load beside TensorFlow {target.tensorflow}: of the symbols it uses, what "
            f"it links ({_list(found.needed) or 'nothing'}) lacks {len(missing)}"
        )
        raise SymbolsGateError("\n  ".join([message, *shown, *more]))


def _list(words: Iterable[str]) -> str:
    return ", ".join(f"`{symbol_hints.shown(word)}`" for word in words)
