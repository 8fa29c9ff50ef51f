"""Checks against dependency confusion: each name served here is registered on the ordinary index or acknowledged.

pip pools all indexes and takes the highest version (https://pip.pypa.io/en/stable/cli/pip_install/, "extra-index-url"),
so whoever registers an unregistered name on the ordinary index decides what users install.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfwheel.publish.errors import UnclaimedNameError
from tfwheel.system import pip
from tfwheel.wheel import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from tfwheel.config.schema import IndexSettings


def names(metadata: Iterable[bytes]) -> set[str]:
    """Return all projects that users of these wheels install, from METADATA: the wheels and their requirements."""
    found = set()
    for data in metadata:
        fields, _ = parse_email(data)
        found |= {fields.get("name", ""), *(Requirement(text).name for text in fields.get("requires_dist", []))}
    return {canonicalize_name(name) for name in found if name}


def check_wheels(wheels: Iterable[Path], settings: IndexSettings) -> None:
    """Run ``check`` on all names of these wheels, with the index that pip is configured for (a second per name)."""
    wanted = names([metadata.metadata_of(wheel) for wheel in wheels])
    check(wanted, acknowledged={entry.name for entry in settings.acknowledge}, is_claimed=pip.is_claimed)


def check(wanted: Iterable[str], *, acknowledged: Collection[str], is_claimed: Callable[[str], bool]) -> None:
    """Raise UnclaimedNameError, which lists all names that are neither registered nor acknowledged.

    ``is_claimed`` asks the ordinary index; its errors are passed on.
    """
    known = {canonicalize_name(name) for name in acknowledged}
    free = [name for name in sorted(set(wanted) - known) if not is_claimed(name)]
    if free:
        message = f"unregistered on the ordinary index, but served or required here: {', '.join(free)}"
        raise UnclaimedNameError(message)
