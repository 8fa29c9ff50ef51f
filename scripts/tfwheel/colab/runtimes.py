"""Colab's runtimes as types, from the files of ``build_config/colab/``: what is installed there, and on what system."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import AfterValidator, Field

from tfwheel.colab import snapshots
from tfwheel.config import field_types, schema, toml_files
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfwheel.colab.snapshots import Freeze, OsInfo, Snapshot


def _day(text: str) -> str:
    """Return a date as it is; ValueError for one that no calendar has."""
    date.fromisoformat(text)
    return text


RuntimeName = Annotated[
    str, field_types.text_like("[a-z0-9][a-z0-9.-]{0,39}", "a short name without spaces, as in `2026.08`")
]
Date = Annotated[
    str, field_types.text_like(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", "a date, as in `2026-08-19`"), AfterValidator(_day)
]
Numbers = Annotated[str, field_types.text_like(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}", "a version of numbers, as in `12.8`")]

Python = Annotated[str, field_types.text_like(r"3\.[0-9]{1,2}\.[0-9]{1,2}", "a version of Python, as in `3.12.13`")]


class RuntimeEntry(schema.Table):
    """One ``[[runtime]]``; the name is part of a file name; ``freeze``, ``os_info`` and ``apt`` are files beside.

    ``snapshot`` is one that was taken inside the runtime; it takes the place of the three. ``python`` may be left out
    where a file says it. The other keys say what no file of Colab says.
    """

    name: RuntimeName
    python: Python | None = None
    freeze: field_types.FileName | None = None
    snapshot: field_types.FileName | None = None
    os_info: field_types.FileName | None = None
    apt: field_types.FileName | None = None
    date: Date | None = None
    glibc: Numbers | None = None
    driver: Numbers | None = None
    cuda: Numbers | None = None
    cudnn: Numbers | None = None
    live: bool = True


class RuntimesFile(schema.Table):
    """``runtimes.toml``."""

    runtime: Annotated[list[RuntimeEntry], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One runtime: its system and its installed distributions; what is not known is None.

    ``pins`` maps each name, as written, to the exact version; ``direct`` are the names installed from a URL or a file.
    ``versions`` has all known versions by normalized name, those of ``direct`` that a file name tells too. ``requires``
    and ``gencode`` are what a snapshot taken inside says: Requires-Dist, and the newest protobuf gencode, by name.
    ``cudnn`` maps a source, "apt" or "pip", to a version; ``live`` says whether users can still choose the runtime, and
    ``newest`` whether it is the newest that is known here, which says nothing about what Colab runs today.
    """

    name: str
    python: str
    pins: dict[str, str]
    direct: tuple[str, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gencode: Mapping[str, str] = field(default_factory=dict)
    date: str | None = None
    glibc: str | None = None
    driver: str | None = None
    cuda: str | None = None
    cudnn: Mapping[str, str] = field(default_factory=dict)
    live: bool = True
    newest: bool = False

    @property
    def python_minor(self) -> str:
        """The minor version, for example ``3.13``."""
        return ".".join(self.python.split(".")[:2])

    @property
    def tensorflow(self) -> str | None:
        """The version of the preinstalled TensorFlow, None without one."""
        return self.version_of("tensorflow")

    @cached_property
    def installed(self) -> dict[str, str]:
        """The known versions by normalized name; nobody may change it."""
        return dict(self.versions) or {canonicalize_name(name): version for name, version in self.pins.items()}

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
    newest = max(entries, key=lambda entry: entry.date or "")
    return tuple(_runtime(entry, folder, newest=entry is newest) for entry in entries)


def of_freeze(
    freeze: Freeze, *, name: str, python: str, system: OsInfo | None = None, packages: Mapping[str, str] | None = None
) -> Runtime:
    """Return a runtime as Colab's own files describe it; ``packages`` are those of apt."""
    versions = freeze.versions
    apt = dict(packages or {})
    return Runtime(
        name=name,
        python=python,
        pins=freeze.pins,
        direct=tuple(freeze.direct),
        versions=versions,
        glibc=system.glibc if system else None,
        cuda=snapshots.cuda_of(apt),
        cudnn=_cudnn(snapshots.cudnn_of(apt), versions),
    )


def of_snapshot(found: Snapshot, *, name: str) -> Runtime:
    """Return a runtime as a snapshot taken inside it describes it."""
    rows = found.distributions
    return Runtime(
        name=name,
        python=found.python,
        pins={project: one.version for project, one in rows.items() if not one.url},
        direct=tuple(project for project, one in rows.items() if one.url),
        versions={project: one.version for project, one in rows.items()},
        requires={project: one.requires for project, one in rows.items() if one.requires is not None},
        gencode={project: one.gencode for project, one in rows.items() if one.gencode},
        date=found.date,
        glibc=found.glibc,
        driver=found.driver,
        cuda=found.cuda,
        cudnn=found.cudnn,
    )


def _runtime(entry: RuntimeEntry, folder: Path, *, newest: bool) -> Runtime:
    read = _from_snapshot(entry, folder) if entry.snapshot else _from_files(entry, folder)
    if entry.python not in {None, read.python}:
        message = f"{folder / 'runtimes.toml'}: `{entry.name}` has Python {entry.python}, its files say {read.python}"
        raise ConfigError(message)
    stated = {"date": entry.date, "glibc": entry.glibc, "driver": entry.driver, "cuda": entry.cuda}
    said = {key: value for key, value in stated.items() if value is not None}
    cudnn = {**read.cudnn, **({"apt": entry.cudnn} if entry.cudnn else {})}
    facts = {key: getattr(read, key) for key in read.__dataclass_fields__} | said
    return Runtime(**facts | {"cudnn": cudnn, "live": entry.live, "newest": newest})


def _from_snapshot(entry: RuntimeEntry, folder: Path) -> Runtime:
    path = folder / str(entry.snapshot)
    return of_snapshot(snapshots.parse_snapshot(toml_files.text(path).encode(), source=str(path)), name=entry.name)


def _from_files(entry: RuntimeEntry, folder: Path) -> Runtime:
    if entry.freeze is None:
        message = f"{folder / 'runtimes.toml'}: `{entry.name}` has neither `freeze` nor `snapshot`"
        raise ConfigError(message)
    path = folder / entry.freeze
    freeze = snapshots.parse_freeze(toml_files.text(path), source=str(path))
    system = packages = None
    if entry.os_info:
        path = folder / entry.os_info
        system = snapshots.parse_os_info(toml_files.text(path), source=str(path))
    if entry.apt:
        path = folder / entry.apt
        packages = snapshots.parse_apt(toml_files.text(path), source=str(path))
    python = system.python if system else entry.python
    if python is None:
        message = f"{folder / 'runtimes.toml'}: `{entry.name}` has neither `python` nor `os_info`, which says it"
        raise ConfigError(message)
    return of_freeze(freeze, name=entry.name, python=python, system=system, packages=packages)


def _cudnn(apt: str | None, versions: Mapping[str, str]) -> dict[str, str]:
    """Return the cuDNNs of a runtime by source; the newest distribution `nvidia-cudnn-cuN` is that of "pip".

    What is no version of numbers (``===weird``) counts as unknown.
    """
    found = [version for name, version in versions.items() if name.startswith("nvidia-cudnn-cu") and _is_read(version)]
    pip = max(found, key=Version, default=None)
    return {source: version for source, version in (("apt", apt), ("pip", pip)) if version and _is_read(version)}


def _is_read(version: str) -> bool:
    return snapshots.NUMBERS.fullmatch(version) is not None
