"""Read Colab's runtimes from the package snapshots that Colab publishes (``build_config/colab/``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import Field

from tfwheel.config import schema, toml_files
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class RuntimeEntry(schema.Table):
    """One ``[[runtime]]``; the name is part of a file name, ``freeze`` is a file beside."""

    name: Annotated[str, schema.text_like("[a-z0-9][a-z0-9.-]{0,39}", "a short name without spaces, as in `2026.08`")]
    python: Annotated[str, schema.text_like(r"3\.[0-9]{1,2}\.[0-9]{1,2}", "a version of Python, as in `3.12.13`")]
    freeze: schema.FileName


class RuntimesFile(schema.Table):
    """``runtimes.toml``."""

    runtime: Annotated[list[RuntimeEntry], Field(min_length=1)]


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
    entries = toml_files.read(path, RuntimesFile).runtime
    names = [entry.name for entry in entries]
    if twice := [name for name in names if names.count(name) > 1]:
        message = f"{path}: two runtimes have the name `{twice[0]}`, which names their constraints file"
        raise ConfigError(message)
    return tuple(_runtime(entry, folder / entry.freeze) for entry in entries)


def parse_freeze(text: str, *, source: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Parse the output of ``pip freeze`` into pins (name -> version) and direct references.

    Editable installs (``-e``) count as direct references. ``source`` names the text in the error. Raises ConfigError
    at a line that is neither a pin, a direct reference, nor a comment, and at the second line of a project.
    """
    pins: dict[str, str] = {}
    direct: list[str] = []
    seen: set[str] = set()
    for line in _lines(text):
        try:
            name, version = _entry(line)
        except ValueError as error:
            message = f"{source}: {line!r} is not a line of `pip freeze`: {error}"
            raise ConfigError(message) from error
        if canonicalize_name(name) in seen:
            message = f"{source}: {line!r} is the second line for {name}"
            raise ConfigError(message)
        seen.add(canonicalize_name(name))
        if version is None:
            direct.append(name)
        else:
            pins[name] = version
    return pins, tuple(direct)


def _runtime(entry: RuntimeEntry, freeze: Path) -> Runtime:
    pins, direct = parse_freeze(toml_files.text(freeze), source=str(freeze))
    return Runtime(name=entry.name, python=entry.python, pins=pins, direct=direct)


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
