"""Assembles a CUDA tree for clang from the CUDA packages on PyPI and our own program ``fatbinary``."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.gpu.errors import ToolchainError
from tfwheel.system import console, digests, kept_folders, pip, scratch, sources
from tfwheel.system.sources import program

if TYPE_CHECKING:
    from tfwheel.config.targets import Line

# An absolute interpreter, isolated from the environment: it works for builds in any virtual environment.
LAUNCHER = '#!/bin/sh\nexec "{python}" -IS "${{0%/*}}/fatbinary.py" "$@"\n'
FOLDERS = ("bin", "include", "nvvm/libdevice")  # the folders of each part that a compiler reads
LIBRARIES = ("lib/libnvfatbin.so.12",)
# The files below --cuda-path that clang needs for CUDA kernels with half precision.
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


def make(line: Line, cache: Path, *, python: str | None = None) -> Path:
    """Return the folder for clang's ``--cuda-path``, made on the first call; a killed call leaves no folder.

    ``python`` is the interpreter that its program ``fatbinary`` starts, if it runs on another machine (a container).

    Raises DownloadError when a part could not be fetched, ToolchainError when the parts lack a file.
    """
    python = python or _interpreter()
    tree = folder(line, cache, python=python)
    make_it = partial(_make_tree, line, python=python, where=scratch.within(cache))
    return kept_folders.keep(tree, make_it, cache=cache, busy=f"another run fetches the parts of CUDA {line.cuda}")


def key(line: Line) -> str:
    """Return a digest of the tree's inputs: the pins, our own program, and the code that lays them out."""
    return digests.of_facts(toolkit=line.toolkit, code=sources.digest(__name__))


def folder(line: Line, cache: Path, *, python: str | None = None) -> Path:
    """Return the folder of a line's tree, which need not exist; ``python`` as for ``make``."""
    digest = digests.of_facts(parts=key(line), python=python or _interpreter())
    return cache / "toolchains" / f"cuda-{line.cuda}-{digest[:16]}"


def _interpreter() -> str:
    """Return the base Python of the running one: it outlives a virtual environment."""
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))


def _make_tree(line: Line, root: Path, *, python: str, where: Path) -> None:
    with scratch.folder("fetched", where=where) as fetched:
        parts = fetched / "parts"
        with console.step(f"fetch the parts of CUDA {line.cuda} that clang needs (once)"):
            pip.install_parts(line.toolkit, parts)
        _lay_out(parts, root)
        _add_fatbinary(root, python)
        missing = [name for name in REQUIRED if not (root / name).is_file()]
        if missing:
            message = f"the toolkit of the line {line.name} ({', '.join(line.toolkit)}) lacks {', '.join(missing)}"
            raise ToolchainError(message, remedy="Correct `toolkit` of that line in build_config/lines.toml.")


def _lay_out(parts: Path, root: Path) -> None:
    """Move the files of all packages (``nvidia/<package>/include/...``) into one tree (``include/...``)."""
    for package in sorted((parts / "nvidia").glob("*/")):
        files = [path for folder in FOLDERS for path in sorted((package / folder).rglob("*")) if path.is_file()]
        for path in files:
            _move(path, root / path.relative_to(package))
        for path in (package / name for name in LIBRARIES):
            if path.is_file():
                _move(path, root / "lib64" / path.name)
    for tool in (root / "bin").glob("*"):
        tool.chmod(0o755)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def _add_fatbinary(root: Path, python: str) -> None:
    launcher = root / "bin" / "fatbinary"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text(LAUNCHER.format(python=python), encoding="utf-8")
    launcher.chmod(0o755)
    shutil.copyfile(program("gpu.fatbinary_program"), launcher.with_name("fatbinary.py"))
