"""Chooses the compilers of a line; if no nvcc fits, assembles a CUDA tree for clang from packages on PyPI."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.requirements import Requirement

from tfwheel.build import compilers, cuda_tree
from tfwheel.build.errors import NoCompilerError
from tfwheel.system import digests

if TYPE_CHECKING:
    from tfwheel.build.compilers import Compiler
    from tfwheel.config.targets import Line

# Variables that compilers, CMake and scikit-build-core read: another value may give other bytes.
FLAGS = (
    "CFLAGS",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "CPPFLAGS",
    "CUDAFLAGS",
    "CXXFLAGS",
    "C_INCLUDE_PATH",
    "LDFLAGS",
    "LIBRARY_PATH",
    "NVCC_APPEND_FLAGS",
    "NVCC_PREPEND_FLAGS",
    "PKG_CONFIG_PATH",
)
# Each setting of CMake and of scikit-build-core can be a variable that begins so, but for how fast and how loud it is.
PREFIXES = ("CMAKE_", "SKBUILD_")
OF_NO_BYTE = ("CMAKE_BUILD_PARALLEL_LEVEL", "CMAKE_COLOR_DIAGNOSTICS", "SKBUILD_BUILD_VERBOSE", "SKBUILD_LOGGING_LEVEL")


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """The compilers of one line.

    ``kind`` is the compiler of GPU code: "none" on a line without GPU code, where ``device`` and ``cuda_root`` are
    None. ``toolkit`` are the CUDA parts from PyPI and ``parts`` a digest of them, both empty with nvcc. ``launcher`` is
    ccache or sccache, if there is one. ``reason`` tells users what was chosen and why.
    """

    kind: Literal["nvcc", "clang", "none"]
    host: Compiler
    device: Compiler | None = None
    cuda_root: Path | None = None
    toolkit: tuple[str, ...] = ()
    parts: str = ""
    launcher: Path | None = None
    reason: str

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the compilers and of the CUDA parts from PyPI, for the record."""
        device = {"device compiler": self.device.version} if self.device else {}
        parts = {part.name: str(part.specifier).removeprefix("==") for part in map(Requirement, self.toolkit)}
        return {"host compiler": self.host.version} | device | parts

    @property
    def identity(self) -> dict[str, str]:
        """The facts for a cache key: they change whenever the compiled bytes could change."""
        return self.versions | {"kind": self.kind, "parts": self.parts} | _flags()

    def environment(self) -> dict[str, str]:
        """Return the variables that ``build_config/ops/CMakeLists.txt`` and CMake itself read."""
        found = {
            "CXX": self.host.path,
            "CMAKE_CXX_COMPILER_LAUNCHER": self.launcher,
            "CMAKE_CUDA_COMPILER_LAUNCHER": self.launcher,
            "OPS_DEVICE_COMPILER": self.device and self.device.path,
            "OPS_CUDA_PATH": self.cuda_root,
        }
        return {name: str(path) for name, path in found.items() if path}


def is_flag(name: str) -> bool:
    """Return whether a variable of the environment is one on which compiled bytes may depend: a build gets those."""
    return name in FLAGS or (name.startswith(PREFIXES) and name not in OF_NO_BYTE)


def _flags() -> dict[str, str]:
    """Return those variables of the environment, with a digest of the file that one names (CMAKE_TOOLCHAIN_FILE)."""
    return {name: f"{os.environ[name]}{_content(os.environ[name])}" for name in sorted(filter(is_flag, os.environ))}


def _content(value: str) -> str:
    try:
        return f" {digests.of_tree(Path(value))}" if Path(value).is_file() else ""
    except OSError:  # no name of a file
        return ""


def prepare(line: Line, *, cache: Path) -> Toolchain:
    """Choose the compilers of a line and make its CUDA tree; from the second call on this takes milliseconds.

    Raises the errors of ``choose`` and ``cuda_tree.make``.
    """
    chosen = choose(line, cache=cache)
    if chosen.toolkit:
        cuda_tree.make(line, cache)
    return chosen


def choose(line: Line, *, cache: Path) -> Toolchain:
    """Find or install the compilers for the ops of a line; the CUDA tree may still have to be made.

    Raises NoCompilerError when there is no compiler and no permission to install one.
    """
    host = compilers.host()
    launcher = next((Path(path) for name in ("ccache", "sccache") if (path := shutil.which(name))), None)
    if line.cuda is None:
        reason = f"{host} compiles the ops; the line {line.name} has no GPU code"
        return Toolchain(kind="none", host=host, launcher=launcher, reason=reason)
    nvcc, notes = compilers.nvcc(line.cuda)
    if nvcc:
        return Toolchain(
            kind="nvcc",
            host=host,
            device=nvcc,
            cuda_root=compilers.cuda_root(nvcc.path),
            launcher=launcher,
            reason=f"{nvcc} compiles GPU code: it has the CUDA major of {line.name}; {host} compiles the rest",
        )
    why = "; ".join(notes) or "CUDA_HOME, CUDA_PATH and PATH hold no nvcc"
    if not line.toolkit:
        message = f"the line {line.name} needs an nvcc of CUDA {line.cuda}: it has no `toolkit` for clang ({why})"
        raise NoCompilerError(message, remedy="Set CUDA_HOME to that CUDA toolkit, or add `toolkit` to the line.")
    clang = compilers.clang()
    root = cuda_tree.folder(line, cache)
    return Toolchain(
        kind="clang",
        host=host,
        device=clang,
        cuda_root=root,
        toolkit=line.toolkit,
        parts=cuda_tree.key(line),
        launcher=launcher,
        reason=f"{clang} compiles GPU code with the parts of CUDA {line.cuda} in {root}, because {why}; "
        f"{host} compiles the rest",
    )
