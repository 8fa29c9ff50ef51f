"""The record beside each wheel, ``<wheel>.record.json``: what made it, what was checked, what it did when it ran.

Stages meet here and nowhere else. Each adds its own part; publishing reads the whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tfwheel.atomic import writing
from tfwheel.errors import BadWheelError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".record.json"


@dataclass(frozen=True, kw_only=True)
class Record:
    """Facts about one built wheel.

    ``size`` is in bytes, ``times`` in seconds by step. ``key`` is the digest of everything that went into the
    wheel: an equal key means that building again would give the same bytes. ``archs`` is the GPU code that the arch
    gate found in the libraries the project compiled. ``retarget`` says what became of the GPU code of official ones.
    ``smoke`` is the report of the last smoke run, None before the first.
    """

    target: str
    project: str
    version: str
    line: str
    python: str | None
    file: str
    sha256: str
    size: int
    key: str
    source_commit: str = ""
    tools: dict[str, str] = field(default_factory=dict)
    base: dict[str, str] | None = None
    archs: list[str] = field(default_factory=list)
    repair: dict[str, Any] | None = None
    retarget: dict[str, Any] | None = None
    gates: dict[str, str] = field(default_factory=dict)
    smoke: dict[str, Any] | None = None
    times: dict[str, float] = field(default_factory=dict)

    def grown(self, **parts: Any) -> Record:  # noqa: ANN401 -- the parts have the types of the fields
        """A copy with some parts added or replaced."""
        return replace(self, **parts)

    @property
    def passed_smoke(self) -> bool:
        """Whether the last smoke run passed, on the very bytes this record describes."""
        return bool(self.smoke and self.smoke.get("passed") is True and self.smoke.get("wheel_sha256") == self.sha256)


def path_for(wheel: Path) -> Path:
    """Where the record of a wheel stands."""
    return wheel.with_name(wheel.name + SUFFIX)


def save(record: Record, wheel: Path) -> None:
    """Write the record beside its wheel, atomically."""
    text = json.dumps(asdict(record), indent=2, sort_keys=True) + "\n"
    write_atomically(path_for(wheel), text.encode())


def load(path: Path) -> Record:
    """Read a record; BadWheelError when it is not one."""
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        message = f"{path} is not a record: {error}"
        raise BadWheelError(message, remedy="Delete it and build its target again.") from error


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by new bytes so that a reader, or a kill, sees the old ones or the new ones."""
    with writing(path) as stream:
        stream.write(data)
