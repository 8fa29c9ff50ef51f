"""All error classes by room and kind, and the page index/docs/errors.md made from them."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

from tfwheel.config.paths import ROOT
from tfwheel.errors import FactoryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

SCRIPTS = ROOT / "scripts"
PAGE = ROOT / "index" / "docs" / "errors.md"
INTRO = """\
# Exit codes

Every command exits with 0 when it did all its work. When it fails, its last lines say what is wrong, what to do, and
which error this is:

```text
{sample}
```

An exit code stands for a kind of error, which a script can act on. No code is ever used again for another kind. Code 2
means that the command line cannot be parsed, 141 that nobody reads the output any more. `nox` itself exits with 1 when
a session fails: to get the code, run the command that it prints. [Install and troubleshoot](install.md) starts from
what you see. The doctor is a program for other machines, with [exit codes of its own](doctor.md#exit-codes).

| exit code | what it means | errors |
| --- | --- | --- |
"""
END = """
`nox -s tests -- tests/house --update-golden` writes this page from the `errors.py` files under `scripts/`.
"""


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


def page(sample: str) -> str:
    """The page, with the last lines of a failure as the example."""
    kinds = sorted({kind_of(error) or error for error in classes()}, key=lambda kind: kind.exit_code)
    table = "".join(_row(kind) for kind in kinds)
    return INTRO.format(sample=sample) + table + "".join(map(_room, modules())) + END


def _row(kind: type[FactoryError]) -> str:
    names = sorted(error.__name__ for error in classes() if kind_of(error) is kind and is_raised(error))
    return f"| {kind.exit_code} | {_sentence(kind.__doc__)} | {', '.join(map(_link, names))} |\n"


def _room(module: ModuleType) -> str:
    package = module.__name__.rpartition(".")[0]
    name = "any room" if package == "tfwheel" else package.removeprefix("tfwheel.")
    items = "".join(_item(error) for error in of_module(module) if is_raised(error))
    return f"\n## Errors of {name}\n\n{_sentence(importlib.import_module(package).__doc__)}\n{items}"


def _item(error: type[FactoryError]) -> str:
    said = _sentence(error.__doc__)
    return f"\n### `{error.__name__}`\n\nExit code {error.exit_code}. {said}\n\nWhat to do: {error.default_remedy}\n"


def _link(name: str) -> str:
    return f"[`{name}`](#{name.lower()})"


def _sentence(docstring: str | None) -> str:
    first = (docstring or "").strip().partition("\n\n")[0]
    return re.sub(r"\s+", " ", first).replace("``", "`")
