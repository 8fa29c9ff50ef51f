"""All error classes by room and kind."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tfwheel.config.paths import ROOT
from tfwheel.errors import FactoryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

SCRIPTS = ROOT / "scripts"


def modules() -> list[ModuleType]:
    """The errors.py of the package, then those of the rooms and of the equipment, by name."""
    names = [".".join(path.relative_to(SCRIPTS).with_suffix("").parts) for path in SCRIPTS.rglob("errors.py")]
    return [importlib.import_module(name) for name in sorted(names, key=lambda name: (name != "tfwheel.errors", name))]


def of_module(module: ModuleType) -> list[type[FactoryError]]:
    """The error classes that a module defines, in its order, without the base class."""
    found = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, FactoryError)]
    return [one for one in found if one.__module__ == module.__name__ and one is not FactoryError]


def classes() -> Iterator[type[FactoryError]]:
    """All error classes."""
    for module in modules():
        yield from of_module(module)


def kind_of(error: type[FactoryError]) -> type[FactoryError] | None:
    """The class that gives an error its exit code; None where it has the one of the base class."""
    return next((one for one in error.__mro__ if "exit_code" in vars(one) and one is not FactoryError), None)


def is_raised(error: type[FactoryError]) -> bool:
    """Whether a class is meant to be raised: a kind without a remedy only groups others."""
    return kind_of(error) is not error or "default_remedy" in vars(error)
