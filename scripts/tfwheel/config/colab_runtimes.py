"""Read Colab's runtimes from the package snapshots that Colab publishes (``build_config/colab/``)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One runtime: its Python ("3.13.15") and its installed packages.

    ``pins`` maps each name, as written, to the exact version; ``direct`` are the names installed from a URL or a file,
    whose version an index does not know.
    """

    name: str
    python: str
    pins: dict[str, str]
    direct: tuple[str, ...]

    @property
    def python_minor(self) -> str:
        """The minor version, for example ``3.13``."""
        return ".".join(self.python.split(".")[:2])

    @property
    def tensorflow(self) -> str | None:
        """The version of the preinstalled TensorFlow, None without one."""
        return self.version_of("tensorflow")

    def version_of(self, project: str) -> str | None:
        """Return the version of a package by its name in any spelling, None if it is not installed."""
        wanted = canonicalize_name(project)
        return next((version for name, version in self.pins.items() if canonicalize_name(name) == wanted), None)


def load(folder: Path) -> tuple[Runtime, ...]:
    """Read the runtimes of ``runtimes.toml``, in its order; raise ConfigError if it or a snapshot cannot be read."""
    path = folder / "runtimes.toml"
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["runtime"]
        return tuple(_runtime(table["name"], table["python"], folder / table["freeze"]) for table in tables)
    except (OSError, KeyError, TypeError, ValueError) as error:
        message = f"{path} does not list runtimes by name, python and freeze file: {type(error).__name__}: {error}"
        raise ConfigError(message) from error


def parse_freeze(text: str, *, source: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Parse the output of ``pip freeze`` into pins (name -> version) and direct references.

    Editable installs (``-e``) count as direct references. ``source`` names the text in the error. Raises ConfigError
    at a line that is neither a pin, a direct reference, nor a comment.
    """
    pins: dict[str, str] = {}
    direct: list[str] = []
    for line in _lines(text):
        try:
            name, version = _entry(line)
        except ValueError as error:
            message = f"{source}: {line!r} is not a line of `pip freeze`: {error}"
            raise ConfigError(message) from error
        if version is None:
            direct.append(name)
        else:
            pins[name] = version
    return pins, tuple(direct)


def _runtime(name: str, python: str, freeze: Path) -> Runtime:
    pins, direct = parse_freeze(freeze.read_text(encoding="utf-8"), source=str(freeze))
    return Runtime(name=name, python=python, pins=pins, direct=direct)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield stripped


def _entry(line: str) -> tuple[str, str | None]:
    """Return name and version of one line; version None for a direct reference."""
    editable = re.fullmatch(r"-e\s.*[#&]egg=([A-Za-z0-9._-]+).*", line)
    if editable:
        return editable[1], None
    requirement = Requirement(line)
    if requirement.url:
        return requirement.name, None
    pins = [spec.version for spec in requirement.specifier if spec.operator in ("==", "===")]
    if len(pins) != 1 or len(requirement.specifier) != 1:
        message = "no exact pin"
        raise ValueError(message)
    return requirement.name, pins[0]
