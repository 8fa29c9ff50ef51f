"""Read requirements so that no text of them ends in an exception: what cannot be evaluated counts as unread.

A Requires-Dist may be well formed and still mean nothing: ``python_version ~= "abc"`` compares what has no order.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement

from tfwheel.colab import snapshots

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ANY_PYTHON = "3.12.0"  # whether a marker has an answer does not depend on the Python


@cache
def parsed(text: str) -> Requirement | None:
    """Return a Requires-Dist; None for one that no installer of today reads, or that cannot be evaluated."""
    if not text.isprintable():  # reports show it
        return None
    try:
        found = Requirement(text)
        for one in found.specifier:
            one.contains("1", prereleases=True)  # numbers of thousands of digits are no numbers of Python
    except (InvalidRequirement, ValueError, RecursionError):
        return None
    return found if holds(found, environment(ANY_PYTHON, "")) is not None else None


def holds(requirement: Requirement, where: Mapping[str, str]) -> bool | None:
    """Return whether the marker of a requirement holds in an environment; None if nobody can say."""
    try:
        return requirement.marker is None or requirement.marker.evaluate(dict(where))
    except (UndefinedComparison, UndefinedEnvironmentName, ValueError, RecursionError):
        return None


def applicable(requires: Iterable[str], python: str, extras: Iterable[str] = ()) -> list[Requirement]:
    """Return the requirements that hold with a Python, with one of these extras or without any."""
    environments = [environment(python, extra) for extra in ("", *extras)]
    found = [requirement for text in requires if (requirement := parsed(text))]
    return [one for one in found if any(holds(one, each) for each in environments)]


@cache
def environment(python: str, extra: str) -> Mapping[str, str]:
    """Return the marker environment of a Python on 64-bit Linux."""
    fixed = {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "6.6.0",
        "platform_system": "Linux",
        "platform_version": "1",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
        "extra": extra,
    }
    return {**{key: str(value) for key, value in default_environment().items()}, **fixed}


@cache
def satisfies(specifier: str, version: str) -> bool:
    """Return whether a version is one of a specifier, as for what is installed: also if it is a pre-release."""
    found, asked = snapshots.version(version), parsed(f"x{specifier}")
    return found is not None and asked is not None and asked.specifier.contains(found, prereleases=True)
