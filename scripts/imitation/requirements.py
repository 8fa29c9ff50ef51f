"""Reads which projects the packages in an environment require, from their metadata alone."""

from __future__ import annotations

from importlib.metadata import distributions
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from tfwheel.colab.requirements import holds, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from packaging.utils import NormalizedName

    Wanted = tuple[NormalizedName, str]  # a project, and an extra of it or ""


def of_all(site: Path, *, python: str) -> set[NormalizedName]:
    """Return the names that the packages in a folder have or require on a Python ("3.12.1"), normalized.

    What an extra requires counts where another package of the folder asks for it. Other markers are those of this
    machine.
    """
    texts = {canonicalize_name(one.metadata["Name"]): one.requires or [] for one in distributions(path=[str(site)])}
    found: set[Wanted] = {(name, "") for name in texts}
    waiting = sorted(found)
    while waiting:
        name, extra = waiting.pop()
        new = set(_of_one(texts.get(name, []), extra, python)) - found
        found |= new
        waiting.extend(new)
    return {name for name, _ in found}


def _of_one(texts: list[str], extra: str, python: str) -> Iterator[Wanted]:
    """Yield what one package requires with an extra ("" for none): names, each with "" and with its own extras."""
    values = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2]), "extra": extra}
    for text in texts:
        requirement = parsed(text)  # None of a package older than PEP 508: an installer reports it
        if requirement and holds(requirement, values):
            name = canonicalize_name(requirement.name)
            yield from ((name, one) for one in ("", *sorted(requirement.extras)))
