"""Read which protobuf made the modules ``*_pb2.py`` of a wheel: they refuse to be imported with an older protobuf.

Since protobuf 5.26 a generated module calls ``ValidateProtobufRuntimeVersion`` with the version of protoc; the package
``protobuf`` raises VersionError if it is older than that (google/protobuf/runtime_version.py).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import Version

from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUFFIXES = ("_pb2.py", "_pb2_grpc.py")
CALL = re.compile(rb"ValidateProtobufRuntimeVersion\(\s*[\w.]+,\s*(\d{1,4}),\s*(\d{1,4}),\s*(\d{1,4}),")


def of_wheel(wheel: Path) -> str:
    """Return the newest version that a generated module of a wheel asks for, or "" if none; may raise BadWheelError."""
    with WheelReader(wheel) as reader:
        return newest((name, reader.read(name)) for name in reader.names() if name.endswith(SUFFIXES))


def newest(modules: Iterable[tuple[str, bytes]]) -> str:
    """Return the newest version that one of these modules, by path, asks for; empty if none does.

    Modules of one name in several folders are variants, one for each protobuf, of which a package takes the one that
    suits (wandb does so): of them the least demanding counts.
    """
    asked: dict[str, str] = {}
    for path, text in modules:
        match = CALL.search(text)
        version = ".".join(part.decode() for part in match.groups()) if match else ""
        name = path.rpartition("/")[2]
        asked[name] = min(asked.get(name, version), version, key=_order)
    return max(asked.values(), key=_order, default="")


def _order(version: str) -> Version:
    return Version(version or "0")


def is_refused(gencode: str, protobuf: str) -> bool:
    """Return whether modules that ask for ``gencode`` refuse this protobuf: it is older than what made them."""
    return bool(gencode) and Version(protobuf) < Version(gencode)
