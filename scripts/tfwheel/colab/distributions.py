"""What is known of distributions on the package index: versions for each Python, requirements, protobuf gencode.

The data is ``build_config/colab/distributions.json``, written by ``nox -s update-distributions``; nothing here asks
the index. It covers what TensorFlow needs and what needs the same as TensorFlow, and says of what day it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import Version

from tfwheel.colab import snapshots
from tfwheel.config import toml_files
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MINORS = re.compile(r"([0-9]{1,2}( [0-9]{1,2})*)?")  # of Python 3
NAME = "distributions.json"
OFFICIAL = ("tensorflow", "tensorflow-cpu", "tensorflow-cuda13")  # the official builds of TensorFlow


class Distributions(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The data, by normalized name; ``pythons`` ("3.12") are those that it was looked up for.

    ``versions`` maps each version that an installer may choose, the newest first, to the Pythons that have a wheel of
    it ("11 12 13": 3.11 to 3.13). ``requires`` has the Requires-Dist of those that were looked at; requirements of an
    extra that nobody asks for are left out. ``gencode`` is the newest version of protoc that made a module of it, empty
    where no module names one (protobuf before 5.26).
    """

    date: str = ""
    source: str = ""
    pythons: tuple[str, ...] = ()
    versions: dict[str, dict[str, str]] = {}
    requires: dict[str, dict[str, tuple[str, ...]]] = {}
    gencode: dict[str, dict[str, str]] = {}

    def offered(self, project: str, python: str) -> tuple[str, ...] | None:
        """Return the versions that an installer of this Python ("3.12") may choose, newest first; None if unknown."""
        known = self.versions.get(project) if python in self.pythons else None
        minor = python.partition(".")[2]
        return None if known is None else tuple(one for one, pythons in known.items() if minor in pythons.split())

    def requires_of(self, project: str, version: str) -> tuple[str, ...] | None:
        """Return the Requires-Dist of a version, or of its public one if it is local; None if it is not in the data."""
        known = self.requires.get(project, {})
        return known.get(version, known.get(version.partition("+")[0]))

    def gencode_of(self, project: str, version: str) -> str | None:
        """Return the newest gencode in a version: empty if its modules name none, None if it is not in the data."""
        known = self.gencode.get(project, {})
        return known.get(version, known.get(version.partition("+")[0]))


def load(folder: Path) -> Distributions:
    """Read ``distributions.json``; empty without the file. ConfigError if it is not such data."""
    path = folder / NAME
    return parse(toml_files.text(path).encode(), source=str(path)) if path.exists() else Distributions()


def parse(data: bytes, *, source: str) -> Distributions:
    """Parse the data; ``source`` names it in the ConfigError."""
    try:
        found = msgspec.json.decode(data, type=Distributions)
        _check(found)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"{source} is not data about distributions: {error}"
        raise ConfigError(message, remedy="Write it anew: `nox -s update-distributions`.") from error
    return found


def encode(known: Distributions) -> bytes:
    """Return the bytes of the file: one line for each project of each table, so that a change is seen in a diff."""
    head = {"date": known.date, "source": known.source, "pythons": known.pythons}
    lines = ["{", *(f' "{name}": {_json(value)},' for name, value in head.items())]
    tables = {name: getattr(known, name) for name in ("versions", "requires", "gencode")}
    for number, (name, table) in enumerate(tables.items(), 1):
        rows = [f"  {_json(project)}: {_json(table[project])}" for project in sorted(table)]
        lines += [f' "{name}": {{', ",\n".join(rows), " }" + ("," if number < len(tables) else "")]
    return ("\n".join(line for line in lines if line) + "\n}\n").encode()


def newest_first(versions: list[str]) -> list[str]:
    """Sort versions, the newest first."""
    return sorted(versions, key=Version, reverse=True)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _check(found: Distributions) -> None:
    for table in (found.versions, found.requires, found.gencode):
        for project, rows in table.items():
            if project != canonicalize_name(project):
                message = f"{project!r} is not a normalized name"
                raise ValueError(message)
            for version in rows:
                if not snapshots.VERSION.fullmatch(version) or snapshots.version(version) is None:
                    message = f"{project}: {version!r} is no version"
                    raise ValueError(message)
    _check_values(found)


def _check_values(found: Distributions) -> None:
    wrong = [one for one in found.pythons if not re.fullmatch(r"3\.[0-9]{1,2}", one)]
    wrong += [one for rows in found.versions.values() for one in rows.values() if not MINORS.fullmatch(one)]
    wrong += [one for rows in found.gencode.values() for one in rows.values() if not snapshots.GENCODE.fullmatch(one)]
    many = [len(one) for rows in found.requires.values() for one in rows.values()]
    if wrong or max(many, default=0) > snapshots.MOST_REQUIREMENTS:
        message = f"{wrong[0]!r} is no version" if wrong else f"a distribution has {max(many)} requirements"
        raise ValueError(message)
