"""Unpacks the wheel of a custom-op project: one that its own build made, or that was there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from tfwheel.build.errors import OpsSourceError
from tfwheel.config.field_types import TENSORFLOW
from tfwheel.config.targets import EXTENSION
from tfwheel.errors import BadWheelError
from tfwheel.wheel import core_metadata
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from packaging.metadata import RawMetadata

METADATA = "METADATA"
LIB = re.compile(r"[^/]+\.data/(purelib|platlib)/")  # an installer puts those beside the rest (binary distributions)


def unpack(wheel: Path, folder: Path, info: Path, *, project: str, tensorflow: str) -> None:
    """Unpack a wheel: its metadata into ``info``, everything else into ``folder``.

    Raises OpsSourceError for a file that is no wheel (the rules of ``WheelReader``), or one that not every Python of
    Linux on x86-64 can use with this version of TensorFlow, or whose requirements no index can satisfy.
    """
    try:
        with WheelReader(wheel) as reader:
            names = [name for name in reader.names() if not name.endswith("/")]
            text = reader.read(f"{reader.dist_info}/{METADATA}")
            core_metadata.requirements(text)  # which refuses what cannot be read
            metadata = core_metadata.read(text)
            fault = next(_faults(wheel.name, names, metadata, tensorflow), None)
            for name in names if not fault else ():
                inside = name.startswith(f"{reader.dist_info}/")
                reader.extract(name, info / name.partition("/")[2] if inside else folder / LIB.sub("", name))
    except BadWheelError as error:
        message = f"the custom-op project `{project}`: {error.message}"
        raise OpsSourceError(message, remedy="Build that wheel again, or name another one.") from error
    if fault:
        message = f"the custom-op project `{project}`: {wheel.name} {fault}"
        raise OpsSourceError(message, remedy="Change what builds that wheel; `patches` of the project can.")


def requirements(data: bytes) -> list[str]:
    """Return what METADATA requires beside TensorFlow, without extras."""
    named = {one: core_metadata.identity(one) for one in core_metadata.requirements(data)}
    return [one for one, (name, extra) in named.items() if not extra and not TENSORFLOW.fullmatch(name)]


def _faults(file: str, names: Sequence[str], metadata: RawMetadata, tensorflow: str) -> Iterator[str]:
    """Yield in words what is wrong with a wheel."""
    try:
        tags = parse_wheel_filename(file)[3]
    except InvalidWheelFilename as error:
        yield f"has no name of a wheel: {error}"
        return
    if not any(tag.platform == "any" or re.fullmatch(r"(many)?linux.*_x86_64", tag.platform) for tag in tags):
        yield "is not for Linux on x86-64"
    if extension := next(filter(EXTENSION.search, names), None):
        yield f"has {extension}, a module for one Python alone; the ops wheel is for every Python"
    try:
        SpecifierSet(metadata.get("requires_python", ""))
    except InvalidSpecifier as error:
        yield f"requires an odd Python: {error}"
    for one in filter(_applies, metadata.get("requires_dist", [])):
        requirement = Requirement(one)
        if requirement.url:
            yield f"requires `{one}`, a URL: users of an index cannot install that"
        is_tensorflow = TENSORFLOW.fullmatch(canonicalize_name(requirement.name))
        if is_tensorflow and not requirement.specifier.contains(tensorflow, prereleases=True):
            yield f"requires `{one}`, and this is for TensorFlow {tensorflow}"


def _applies(requirement: str) -> bool:
    """Return whether a requirement is one of the ops: without an extra, and for some Python on Linux."""
    marker = Requirement(requirement).marker
    machine = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}
    pythons = ({"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.99"} for minor in range(9, 20))
    return marker is None or any(marker.evaluate({**machine, **python, "extra": ""}) for python in pythons)
