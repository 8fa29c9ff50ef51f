"""Chooses the compilers of a line and, where no nvcc fits, puts a CUDA tree for clang together from parts on PyPI."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock
from packaging.requirements import Requirement

from tfwheel.build import compilers
from tfwheel.build.errors import NoCompilerError
from tfwheel.gpu import fatbinary_program
from tfwheel.gpu.errors import ToolchainError
from tfwheel.system import console, digests, pip

if TYPE_CHECKING:
    from tfwheel.build.compilers import Compiler
    from tfwheel.config.targets import Line

FATBINARY = Path(fatbinary_program.__file__)
# An absolute interpreter, blind to the environment: it serves builds in any virtual environment.
LAUNCHER = '#!/bin/sh\nexec "{python}" -IS "${{0%/*}}/fatbinary.py" "$@"\n'
FOLDERS = ("bin", "include", "nvvm/libdevice")  # of each part, what a compiler reads
LIBRARIES = ("lib/libnvfatbin.so.12",)
# What clang takes from its --cuda-path, as far as CUDA kernels with half precision need it.
REQUIRED = (
    "bin/ptxas",
    "include/cuda.h",  # clang reads the CUDA version here
    "include/cuda_runtime.h",
    "include/cuda_fp16.h",
    "include/cuda_bf16.h",
    "include/crt/host_defines.h",
    "include/curand_mtgp32_kernel.h",  # included by clang's CUDA wrapper header, whether it is used or not
    "include/nv/target",
    "nvvm/libdevice/libdevice.10.bc",
    "lib64/libnvfatbin.so.12",
)


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """The compilers of one line.

    ``kind`` says what compiles GPU code: "none" on a line that has none, where ``device`` and ``cuda_root`` are
    None. ``toolkit`` are the CUDA parts from PyPI and ``parts`` a digest of them, both empty with nvcc. ``launcher`` is
    ccache or sccache, where there is one. ``reason`` says, for a person, what was chosen and why.
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
        """The compilers and the CUDA parts from PyPI by version, for the record."""
        device = {"device compiler": self.device.version} if self.device else {}
        parts = {part.name: str(part.specifier).removeprefix("==") for part in map(Requirement, self.toolkit)}
        return {"host compiler": self.host.version} | device | parts

    @property
    def identity(self) -> dict[str, str]:
        """What a cache key takes: whatever changes the bytes that this toolchain gives changes it too."""
        return self.versions | {"kind": self.kind, "parts": self.parts}

    def environment(self) -> dict[str, str]:
        """The variables that ``build_config/ops/CMakeLists.txt`` and CMake itself read."""
        found = {
            "CXX": self.host.path,
            "CMAKE_CXX_COMPILER_LAUNCHER": self.launcher,
            "CMAKE_CUDA_COMPILER_LAUNCHER": self.launcher,
            "OPS_DEVICE_COMPILER": self.device and self.device.path,
            "OPS_CUDA_PATH": self.cuda_root,
        }
        return {name: str(path) for name, path in found.items() if path}


def prepare(line: Line, *, cache: Path) -> Toolchain:
    """Have all there that compiles the ops of a line; from the second call on that takes milliseconds.

    Raises what ``choose`` and ``cuda_tree`` raise.
    """
    chosen = choose(line, cache=cache)
    if chosen.toolkit:
        cuda_tree(line, cache)
    return chosen


def choose(line: Line, *, cache: Path) -> Toolchain:
    """Find or install the compilers for the ops of a line; the CUDA parts that they need may still have to be fetched.

    Raises NoCompilerError when there is no compiler and no right to install one.
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
            reason=f"{nvcc} compiles GPU code: it is of the CUDA major of {line.name}; {host} compiles the rest",
        )
    why = "; ".join(notes) or "CUDA_HOME, CUDA_PATH and PATH hold no nvcc"
    if not line.toolkit:
        message = f"the line {line.name} needs an nvcc of CUDA {line.cuda}, for it names no parts for clang ({why})"
        raise NoCompilerError(message, remedy="Set CUDA_HOME to that CUDA toolkit, or add `toolkit` to the line.")
    clang = compilers.clang()
    root = _place(line, cache, _interpreter())
    return Toolchain(
        kind="clang",
        host=host,
        device=clang,
        cuda_root=root,
        toolkit=line.toolkit,
        parts=parts_key(line),
        launcher=launcher,
        reason=f"{clang} compiles GPU code with the parts of CUDA {line.cuda} in {root}, because {why}; "
        f"{host} compiles the rest",
    )


def cuda_tree(line: Line, cache: Path, *, python: str | None = None) -> Path:
    """The folder to give to clang as ``--cuda-path``, made on the first call; a killed call leaves none.

    ``python`` is the interpreter that its program ``fatbinary`` starts, where that is not one of this machine.

    Raises DownloadError when a part could not be fetched, ToolchainError when the parts lack a file.
    """
    python = python or _interpreter()
    tree = _place(line, cache, python)
    if tree.is_dir():
        return tree
    tree.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{tree}.lock"):
        if not tree.is_dir():
            _make_tree(line, tree, python)
    return tree


def parts_key(line: Line) -> str:
    """Digest of what goes into the tree: the pins and our own program."""
    return digests.of_facts(toolkit=line.toolkit, fatbinary=FATBINARY.read_text(encoding="utf-8"), launcher=LAUNCHER)


def _place(line: Line, cache: Path, python: str) -> Path:
    """Where the tree of a line is."""
    digest = digests.of_facts(parts=parts_key(line), python=python)
    return cache / "toolchains" / f"cuda-{line.cuda}-{digest[:16]}"


def _interpreter() -> str:
    """The Python that the running one is based on, which has a longer life than a virtual environment."""
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))


def _make_tree(line: Line, tree: Path, python: str) -> None:
    unfinished = tree.with_name(f"{tree.name}.unfinished")
    parts, root = unfinished / "parts", unfinished / "root"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed; the lock says that it is gone
    try:
        with console.step(f"fetch the parts of CUDA {line.cuda} that clang needs (once)"):
            pip.install_parts(line.toolkit, parts)
        _lay_out(parts, root)
        _add_fatbinary(root, python)
        missing = [name for name in REQUIRED if not (root / name).is_file()]
        if missing:
            message = f"the toolkit of the line {line.name} ({', '.join(line.toolkit)}) lacks {', '.join(missing)}"
            raise ToolchainError(message, remedy="Correct `toolkit` of that line in build_config/lines.toml.")
        root.rename(tree)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _lay_out(parts: Path, root: Path) -> None:
    """Move the files of all packages (``nvidia/<package>/include/...``) into one tree (``include/...``)."""
    for package in sorted((parts / "nvidia").glob("*/")):
        files = [path for folder in FOLDERS for path in sorted((package / folder).rglob("*")) if path.is_file()]
        for path in files:
            _move(path, root / path.relative_to(package))
        for path in (package / name for name in LIBRARIES):
            if path.is_file():
                _move(path, root / "lib64" / path.name)
    for program in (root / "bin").glob("*"):
        program.chmod(0o755)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def _add_fatbinary(root: Path, python: str) -> None:
    program = root / "bin" / "fatbinary"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(LAUNCHER.format(python=python), encoding="utf-8")
    program.chmod(0o755)
    shutil.copyfile(FATBINARY, program.with_name("fatbinary.py"))
