"""Parse what describes a runtime, as it comes: ``pip freeze``, os-info, ``apt list``, and a snapshot taken inside one.

Nothing that a text may hold ends in another exception than ConfigError; ``source`` names it there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The C library of each Ubuntu that Colab has used (packages.ubuntu.com, libc6).
GLIBC_OF_UBUNTU = {"18.04": "2.27", "20.04": "2.31", "22.04": "2.35", "24.04": "2.39", "26.04": "2.43"}
APT_LINE = re.compile(r"(?P<name>[a-z0-9][a-z0-9.+:-]*)/\S+ (?P<version>\S+) (?P<machine>\S+) \[installed.*\]")
SNAPSHOT_FORMAT = 1
VERSION = re.compile(r"[A-Za-z0-9.+!_~-]{0,100}")  # what a report may show; those that PEP 440 does not know, too
NUMBERS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}")
GENCODE = re.compile(r"([0-9]{1,4}(\.[0-9]{1,4}){2})?")
MOST_REQUIREMENTS = 5000  # of one distribution
MOST_DISTRIBUTIONS = 20_000  # Colab has 700


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """Installed distributions: exact versions by name as written, and URLs by name where one was installed from a URL.

    The URL of an editable install is empty. A version that the file name in a URL tells is in ``pins_of_direct``.
    """

    pins: dict[str, str]
    direct: dict[str, str]

    @property
    def versions(self) -> dict[str, str]:
        """The known versions by normalized name; a distribution from a URL has one if its file name says it."""
        told = {name: version for name, url in self.direct.items() if (version := version_in(url))}
        return {canonicalize_name(name): version for name, version in (told | self.pins).items()}


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution in a snapshot: version, Requires-Dist (None: unknown), newest gencode in it, URL it came from."""

    version: str
    requires: tuple[str, ...] | None = None
    gencode: str | None = None
    url: str | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What ``snapshot_program.py`` found in a runtime; ``cudnn`` maps a source ("apt", "pip") to a version."""

    format: int
    date: str
    python: str
    distributions: dict[str, Installed]
    glibc: str | None = None
    driver: str | None = None
    cuda: str | None = None
    cudnn: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class OsInfo:
    """The system of a runtime: ``glibc`` is None for an Ubuntu whose C library is not known here."""

    python: str
    ubuntu: str | None = None
    glibc: str | None = field(default=None)


def parse_freeze(text: str, *, source: str) -> Freeze:
    """Parse the output of ``pip freeze``.

    Raises ConfigError at a line that is neither a pin, a direct reference, nor a comment, and at the second line of a
    project.
    """
    pins: dict[str, str] = {}
    direct: dict[str, str] = {}
    seen: set[str] = set()
    for number, line in enumerate(_lines(text)):
        if number >= MOST_DISTRIBUTIONS:
            message = f"{source} has more than {MOST_DISTRIBUTIONS} lines: it is no `pip freeze` of a runtime"
            raise ConfigError(message)
        try:
            name, version, url = _entry(line)
        except ValueError as error:
            message = f"{source}: {line!r} is not a line of `pip freeze`: {error}"
            raise ConfigError(message) from error
        if canonicalize_name(name) in seen:
            message = f"{source}: {line!r} is the second line for {name}"
            raise ConfigError(message)
        seen.add(canonicalize_name(name))
        if url is None:
            pins[name] = version
        else:
            direct[name] = url
    return Freeze(pins=pins, direct=direct)


def version_in(url: str) -> str | None:
    """Return the version in the file name that a URL ends with, None if it names no wheel and no sdist."""
    try:
        name = unquote(urlsplit(url).path).rpartition("/")[2]
        parsed = parse_wheel_filename(name)[1] if name.endswith(".whl") else parse_sdist_filename(name)[1]
    except ValueError:  # packaging's errors are ones, and so is that of urlsplit
        return None
    return str(parsed)


def parse_os_info(text: str, *, source: str) -> OsInfo:
    """Parse the output of ``lsb_release -ds; python --version``; ConfigError without a Python of three numbers."""
    lines = list(_lines(text))
    python = next(
        (found[1] for line in lines if (found := re.fullmatch(r"Python (3\.[0-9]{1,2}\.[0-9]{1,2})", line))), None
    )
    if python is None:
        message = f"{source}: no line says `Python 3.X.Y`"
        raise ConfigError(message)
    ubuntu = next((found[1] for line in lines if (found := re.match(r"Ubuntu ([0-9]{2}\.[0-9]{2})\b", line))), None)
    return OsInfo(python=python, ubuntu=ubuntu, glibc=GLIBC_OF_UBUNTU.get(ubuntu or ""))


def parse_apt(text: str, *, source: str) -> dict[str, str]:
    """Parse the output of ``apt list --installed`` into versions by package; ConfigError if it lists none."""
    found = {row["name"]: row["version"] for line in _lines(text) if (row := APT_LINE.fullmatch(line))}
    if not found:
        message = f"{source}: no line is one of `apt list --installed`"
        raise ConfigError(message)
    return found


def cuda_of(packages: dict[str, str]) -> str | None:
    """Return the CUDA version ("12.8") of the newest ``cuda-cudart-X-Y`` that apt installed."""
    found = [
        match.groups() for name in packages if (match := re.fullmatch(r"cuda-cudart-([0-9]{1,4})-([0-9]{1,4})", name))
    ]
    return max((f"{major}.{minor}" for major, minor in found), key=Version, default=None)


def cudnn_of(packages: dict[str, str]) -> str | None:
    """Return the version ("9.8.0") of the cuDNN that apt installed."""
    found = [version for name, version in packages.items() if re.fullmatch(r"libcudnn\d+(-cuda-\d+)?", name)]
    return ".".join(re.split(r"[.+-]", found[0])[:3]) if found else None


def parse_snapshot(data: bytes, *, source: str) -> Snapshot:
    """Parse the JSON that ``snapshot_program.py`` prints; ConfigError with the first fault."""
    try:
        found = msgspec.json.decode(data, type=Snapshot)
        _check(found)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"{source} is not a snapshot of a runtime: {error}"
        raise ConfigError(message, remedy="Take it again: `python3 snapshot_program.py > FILE` there.") from error
    return found


def _check(found: Snapshot) -> None:
    if found.format != SNAPSHOT_FORMAT:
        message = f"it has the format {found.format}, and this version reads {SNAPSHOT_FORMAT}"
        raise ValueError(message)
    if not re.fullmatch(r"3\.[0-9]{1,2}\.[0-9]{1,2}", found.python):
        message = f"{found.python!r} is no version of Python"
        raise ValueError(message)
    if date.fromisoformat(found.date).isoformat() != found.date:
        message = f"{found.date!r} is no date such as 2026-11-01"
        raise ValueError(message)
    for fact, said in (("glibc", found.glibc), ("driver", found.driver), ("cuda", found.cuda), *found.cudnn.items()):
        if said is not None and not NUMBERS.fullmatch(said):
            message = f"{fact} {said!r} is no version of numbers"
            raise ValueError(message)
    if len(found.distributions) > MOST_DISTRIBUTIONS:
        message = f"it has more than {MOST_DISTRIBUTIONS} distributions"
        raise ValueError(message)
    for name, one in found.distributions.items():
        _check_distribution(name, one)


def _check_distribution(name: str, one: Installed) -> None:
    if name != canonicalize_name(name, validate=True) or not VERSION.fullmatch(one.version):
        message = f"{name!r} {one.version!r} is no distribution"
        raise ValueError(message)
    if len(one.requires or ()) > MOST_REQUIREMENTS:
        message = f"{name} has more than {MOST_REQUIREMENTS} requirements"
        raise ValueError(message)
    if not GENCODE.fullmatch(one.gencode or ""):
        message = f"gencode {one.gencode!r} of {name} is no version of protobuf"
        raise ValueError(message)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield stripped


def _entry(line: str) -> tuple[str, str, str | None]:
    """Return name, version and URL of one line; the version is empty for a direct reference, the URL None without."""
    editable = re.fullmatch(r"-e\s.*[#&]egg=([A-Za-z0-9._-]+).*", line)
    if editable:
        return editable[1], "", ""
    requirement = Requirement(line)
    if requirement.url:
        return requirement.name, "", requirement.url
    pins = [spec.version for spec in requirement.specifier if spec.operator in ("==", "===")]
    if len(pins) != 1 or len(requirement.specifier) != 1:
        message = "no exact pin"
        raise ValueError(message)
    if not VERSION.fullmatch(pins[0]):
        message = "no version"
        raise ValueError(message)
    return requirement.name, pins[0], None


def version(text: str) -> Version | None:
    """Return a version, None for one that is not of PEP 440 (``2004d``)."""
    try:
        return Version(text)
    except ValueError:  # InvalidVersion is one, and so is that of a number of thousands of digits
        return None
