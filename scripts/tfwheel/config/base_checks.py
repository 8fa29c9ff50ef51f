"""Check that a line can be made of the official wheels that are locked for it; raises ConfigError, before any work."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tfwheel.config import changed_libraries
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tfwheel.config.schema import Retarget
    from tfwheel.config.targets import Base, Line

# The extra `and-cuda` asks for the one that TensorFlow was built with, or newer; from CUDA 13 on it has no suffix.
RUNTIME = re.compile(r"nvidia-cuda-runtime(-cu[0-9]+)?")


def check(line: Line, base: Base, path: Path) -> None:
    """Check one official wheel; ``path`` is that of lines.toml."""
    built = cuda_of(base.requires_dist)
    if not fits_cuda(line, built):
        words = ".".join(map(str, built or ()))
        message = (
            f"{path}: `{line.name}.cuda` is {line.cuda}, and official TensorFlow {base.version} is built with {words}"
        )
        raise ConfigError(
            message,
            remedy=f"Give that TensorFlow a line of its own, with a `label`, `cuda` and `toolkit` of CUDA {words}.",
        )
    if line.retarget:
        _check_libraries(line.name, line.retarget, base, path)
        _check_images(line.name, line.retarget, base, path)
    if line.rpath and not changed_libraries.loaders(base):
        message = (
            f"{path}: `{line.name}.rpath` is for libraries that find NVIDIA's packages of pip by their RUNPATH, "
            f"and TensorFlow {base.version} has none"
        )
        raise ConfigError(message, remedy="Leave `rpath` out, or give that TensorFlow a line of its own.")


def fits_cuda(line: Line, built: tuple[int, ...] | None) -> bool:
    """Return whether a line has the CUDA version (major, minor) of an official wheel, or one of them none is known."""
    return not (line.cuda and built) or Version(line.cuda).release[:2] == built


def cuda_of(requires_dist: Iterable[str]) -> tuple[int, ...] | None:
    """Return the CUDA version (major, minor) that an official wheel was built with, as its requirements say it."""
    found = [one for one in map(Requirement, requires_dist) if RUNTIME.fullmatch(canonicalize_name(one.name))]
    lowest = [part.version for one in found for part in one.specifier if part.operator in ("==", ">=")]
    known = len(lowest) == 1 and "*" not in lowest[0]
    return Version(lowest[0]).release[:2] if known else None


def _check_libraries(name: str, wanted: Retarget, base: Base, path: Path) -> None:
    there = [PurePosixPath(member).name for member in base.archs]
    if not there:
        message = f"{path}: `{name}.retarget` is for GPU code, and TensorFlow {base.version} has no library with any"
        raise ConfigError(message, remedy="Leave the table out, or run `nox -s update-pins -- --renew`.")
    if missing := changed_libraries.missing(wanted, base):
        message = (
            f"{path}: `{name}.retarget.libraries` names {missing[0]}, and TensorFlow {base.version} has no such "
            f"library with GPU code; it has {', '.join(there)}"
        )
        raise ConfigError(message, remedy="Correct `libraries`, or give that TensorFlow a line of its own.")


def _check_images(name: str, wanted: Retarget, base: Base, path: Path) -> None:
    """Check that each image a line asks for is in the official libraries, or can be compiled of PTX that is there."""
    asked = {"fatbin": ("archs", wanted.archs), "generated": ("generated", wanted.generated)}
    for kind, there in base.families.items():
        key, archs = asked[kind]
        ptx = [int(image.removeprefix("compute_").rstrip("af")) for image in there if image.startswith("compute_")]
        impossible = [arch for arch in archs if f"sm_{arch}" not in there and min(ptx, default=999) > int(arch)]
        if impossible:
            _refuse(f"{path}: `{name}.retarget.{key}` has {impossible[0]}", f"sm_{impossible[0]}", base, there)
        if wanted.ptx and int(wanted.ptx) not in ptx:
            _refuse(f"{path}: `{name}.retarget.ptx` is {wanted.ptx}", f"compute_{wanted.ptx}", base, there)


def _refuse(key: str, image: str, base: Base, there: tuple[str, ...]) -> None:
    message = (
        f"{key}, and TensorFlow {base.version} has neither {image} nor PTX to make it of; it has {', '.join(there)}"
    )
    raise ConfigError(
        message, remedy="Give that TensorFlow a line of its own: a GPU also runs code for an older arch of its major."
    )
