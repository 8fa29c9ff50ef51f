"""Assembles a CUDA tree for clang from the CUDA packages on PyPI and our own programs ``fatbinary`` and ``nvcc``."""

from __future__ import annotations

import json
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from tfwheel.gpu.errors import ToolchainError
from tfwheel.system import console, digests, kept_folders, pip, scratch, sources
from tfwheel.system.sources import program

if TYPE_CHECKING:
    from tfwheel.config.targets import Line

# An absolute interpreter, isolated from the environment: it works for builds in any virtual environment.
LAUNCHER = '#!/bin/sh\nexec "{python}" -IS "${{0%/*}}/fatbinary.py" "$@"\n'
# People link nvcc into folders on their PATH. Where Python is given a folder, it starts the __main__.py in it.
NVCC_LAUNCHER = """#!/bin/sh
here=$0
[ -L "$here" ] && here=$(readlink -f "$here")
exec "{python}" -IS "${{here%/*}}/../programs" "$@"
"""
NVCC_MAIN = """import sys
from pathlib import Path

from tfwheel.gpu import nvcc_program

sys.exit(nvcc_program.main(sys.argv[1:], Path(__file__).resolve().parents[1]))
"""
FOLDERS = ("bin", "include", "nvvm/libdevice")  # the folders of each part that a compiler reads
# PyPI has the CUDA runtime as a shared library alone, and no device runtime. What links the static one, as nvcc and
# CMake do by default, takes the shared one, where no library before it has the functions: TensorFlow's has them.
STATIC_RUNTIME = "/* GNU ld script: CUDA on PyPI has no static runtime */\nINPUT ( AS_NEEDED ( libcudart.so ) )\n"
NO_OBJECTS = "!<arch>\n"  # an archive without members
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
    "lib64/libcudart.so",
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
        _add_libraries(root)
        _add_fatbinary(root, python)
        _add_nvcc(line, root, python)
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
        for path in sorted((package / "lib").glob("lib*.so*")):
            _move(path, root / "lib64" / path.name)
    for tool in (root / "bin").glob("*"):
        tool.chmod(0o755)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def _add_libraries(root: Path) -> None:
    """Add the names that linkers look for: ``libcudart.so`` for ``libcudart.so.12``."""
    libraries = root / "lib64"
    for path in sorted(libraries.glob("lib*.so.*")):
        (libraries / re.sub(r"\.so\..+", ".so", path.name)).symlink_to(path.name)
    (libraries / "libcudart_static.a").write_text(STATIC_RUNTIME, encoding="utf-8")
    (libraries / "libcudadevrt.a").write_text(NO_OBJECTS, encoding="utf-8")


def _add_fatbinary(root: Path, python: str) -> None:
    _add_launcher(root / "bin" / "fatbinary", LAUNCHER.format(python=python))
    shutil.copyfile(program("gpu.fatbinary_program"), root / "bin" / "fatbinary.py")


def _add_nvcc(line: Line, root: Path, python: str) -> None:
    """Add ``bin/nvcc``, the modules that it runs, and the versions that it and CMake tell (``version.json``)."""
    _add_launcher(root / "bin" / "nvcc", NVCC_LAUNCHER.format(python=python))
    package = root / "programs" / "tfwheel" / "gpu"
    package.mkdir(parents=True)
    (root / "programs" / "__main__.py").write_text(NVCC_MAIN, encoding="utf-8")
    for module in (program("gpu.nvcc_program"), program("gpu.nvcc_options")):
        shutil.copyfile(module, package / module.name)
    (root / "version.json").write_text(json.dumps(versions(line), indent=2), encoding="utf-8")


def versions(line: Line) -> dict[str, dict[str, str]]:
    """Return the versions of a line's parts as ``version.json`` of a CUDA toolkit has them."""
    found = {"cuda": str(line.cuda), "cuda_nvcc": str(line.cuda)}
    for part in map(Requirement, line.toolkit):
        name = re.sub(r"^nvidia-|-cu\d+$", "", part.name).replace("-", "_")
        found[name] = str(part.specifier).removeprefix("==")
    return {name: {"name": name, "version": version} for name, version in found.items()}


def _add_launcher(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
