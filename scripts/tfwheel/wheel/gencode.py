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
CALL = re.compile(rb"ValidateProtobufRuntimeVersion\(\s*[\w.]+,\s*(\d+),\s*(\d+),\s*(\d+),")


def of_wheel(wheel: Path) -> str:
    """Return the newest version that a generated module of a wheel asks for, or "" if none; may raise BadWheelError."""
    with WheelReader(wheel) as reader:
        return newest(reader.read(name) for name in reader.names() if name.endswith(SUFFIXES))


def newest(modules: Iterable[bytes]) -> str:
    """Return the newest version that one of these modules asks for; empty if none does."""
    found = {found.groups() for text in modules if (found := CALL.search(text))}
    versions = [".".join(part.decode() for part in numbers) for numbers in found]
    return max(versions, key=Version, default="")


def is_refused(gencode: str, protobuf: str) -> bool:
    """Return whether modules that ask for ``gencode`` refuse this protobuf: it is older than what made them."""
    return bool(gencode) and Version(protobuf) < Version(gencode)
