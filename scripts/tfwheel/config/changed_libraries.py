"""Which libraries of an official wheel a line changes, by what its lock says about them."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tfwheel.config.targets import is_core

if TYPE_CHECKING:
    from tfwheel.config.schema import Retarget
    from tfwheel.config.targets import Base, Line

ALL = ("all",)  # `libraries` of a line: each one with GPU code
# Where pip puts NVIDIA's package of CUDA 12, and those of CUDA 13, beside the folder of TensorFlow.
CUDA_RUNTIMES = {"nvidia/cuda_runtime/lib", "nvidia/cu13/lib"}


def retargeted(wanted: Retarget, base: Base) -> tuple[str, ...]:
    """Return the members whose GPU code a line changes: all that have any, or those of the names in `libraries`."""
    if wanted.libraries == ALL:
        return tuple(base.archs)
    by_name = {PurePosixPath(member).name: member for member in base.archs}
    return tuple(by_name[name] for name in wanted.libraries if name in by_name)


def missing(wanted: Retarget, base: Base) -> list[str]:
    """Return the names in `libraries` of which the official wheel has no library with GPU code."""
    there = {PurePosixPath(member).name for member in base.archs}
    return [] if wanted.libraries == ALL else [name for name in wanted.libraries if name not in there]


def loaders(base: Base) -> tuple[str, ...]:
    """Return the members that open CUDA's libraries: core libraries whose RUNPATH leads to pip's CUDA runtime.

    dlopen searches as the RUNPATH of its caller says (ld.so(8)). TensorFlow calls it for CUDA in one function,
    tsl::internal::LoadDynamicLibrary. In 2.18 and 2.19 both core libraries have it, since 2.20 the framework alone, and
    the same ones lead to the CUDA runtime. The RUNPATHs of other libraries lead to other packages, or nowhere.
    """
    return tuple(member for member, runpath in base.runpaths.items() if is_core(member) and _leads(member, runpath))


def with_rpath(line: Line, base: Base) -> tuple[str, ...]:
    """Return the members that get DT_RPATH in place of DT_RUNPATH on a line."""
    return loaders(base) if line.rpath else ()


def changed(line: Line, base: Base) -> tuple[str, ...]:
    """Return each member that a line changes."""
    there = retargeted(line.retarget, base) if line.retarget else ()
    return (*there, *(member for member in with_rpath(line, base) if member not in there))


def _leads(member: str, runpath: str) -> bool:
    """Return whether a member finds pip's CUDA runtime by its RUNPATH, when both are installed."""
    origin = posixpath.dirname(member)
    folders = (folder.replace("$ORIGIN", origin) for folder in runpath.split(":"))
    return not CUDA_RUNTIMES.isdisjoint(map(posixpath.normpath, folders))
