"""Replace the program ``fatbinary`` for clang by calls of NVIDIA's libnvfatbin: CUDA 12 on PyPI lacks the program.

Every toolchain tree has a copy of this file as ``bin/fatbinary.py``, so it imports the standard library alone. Supports
``-64 --create OUT --image=profile=sm_80,file=F`` (clang 20 and older) and ``--image3=kind=elf,sm=80,file=F`` (newer),
and ``--omit=80`` of ``nvcc_program``, since clang compiles no PTX without the machine code of that architecture.
The library's functions are declared in NVIDIA's ``nvFatbin.h``.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

LIBRARY = "libnvfatbin.so.12"
# LZ4 for cubins and PTX alike, as in the official TensorFlow libraries (entry flags 0x2011).
OPTIONS = ("-64", "-host=linux", "-compress-all")
_PROFILE = re.compile(r"profile=(?P<kind>sm|compute)_(?P<arch>\d+[af]?),file=(?P<file>.+)")
_IMAGE3 = re.compile(r"kind=(?P<kind>elf|ptx),sm=(?P<arch>\d+[af]?),file=(?P<file>.+)")


class CompiledKernel(NamedTuple):
    """One compiled kernel file, for a compute capability such as ``80`` or ``90a``."""

    kind: str
    arch: str
    file: Path


class NvFatbinError(Exception):
    """A call of the library failed; the text is the library's."""


def image(text: str) -> CompiledKernel:
    """Parse the value of ``--image`` or ``--image3``; raise argparse's error for anything else."""
    match = _PROFILE.fullmatch(text) or _IMAGE3.fullmatch(text)
    if not match:
        message = f"not understood: {text}"
        raise argparse.ArgumentTypeError(message)
    return CompiledKernel("elf" if match["kind"] in ("sm", "elf") else "ptx", match["arch"], Path(match["file"]))


class FatbinWriter:
    """A fat binary container being written.

    Its images get no names: clang passes names of temporary files, so every build would differ.
    """

    def __init__(self, library: Path, options: Sequence[str] = OPTIONS) -> None:
        """Load the library and begin; raise OSError if it cannot be loaded, NvFatbinError for unknown options."""
        self._library = ctypes.CDLL(str(library))
        self._library.nvFatbinGetErrorString.restype = ctypes.c_char_p
        self._handle = ctypes.c_void_p()
        words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        self._call("nvFatbinCreate", ctypes.byref(self._handle), words, ctypes.c_size_t(len(options)))

    def add(self, part: CompiledKernel) -> None:
        """Add an image from a file; raise NvFatbinError if its content does not fit its kind and arch."""
        about = f" ({part.kind} for {part.arch}: {part.file})"
        self.add_code(part.kind, part.arch, part.file.read_bytes(), about=about)

    def add_code(self, kind: str, arch: str, code: bytes, *, about: str = "") -> None:
        """Add an image from memory; ``about`` is appended to the error. Raises as ``add`` does."""
        size, name = ctypes.c_size_t(len(code)), arch.encode()
        if kind == "elf":
            self._call("nvFatbinAddCubin", self._handle, code, size, name, b"", about=about)
        else:
            self._call("nvFatbinAddPTX", self._handle, code, size, name, b"", b"", about=about)

    def to_bytes(self) -> bytes:
        """Return the finished container and free the handle; the object cannot be used afterwards."""
        size = ctypes.c_size_t()
        self._call("nvFatbinSize", self._handle, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call("nvFatbinGet", self._handle, buffer)
        self._call("nvFatbinDestroy", ctypes.byref(self._handle))
        return buffer.raw

    def _call(self, function: str, *arguments: object, about: str = "") -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            reason = self._library.nvFatbinGetErrorString(code).decode()
            message = f"{function}: {reason}{about}"
            raise NvFatbinError(message)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; an unknown option ends the program, so that none is ignored silently."""
    parser = argparse.ArgumentParser(prog="fatbinary", allow_abbrev=False)
    parser.add_argument("-64", dest="wide", action="store_true", required=True, help="for 64-bit hosts: always")
    parser.add_argument("-g", dest="debug", action="store_true", help="the images carry debug information")
    parser.add_argument("--create", type=Path, required=True, metavar="FILE", help="where the container goes")
    parser.add_argument("--image", "--image3", dest="images", type=image, action="append", required=True)
    parser.add_argument("--omit", action="append", default=[], metavar="ARCH", help="leave out its machine code")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str], library: Path) -> int:
    """Write one container; on failure print the reason to stderr and return exit code 1."""
    wanted = parse(arguments)
    temporary = wanted.create.with_name(f".{wanted.create.name}.{os.getpid()}")
    try:
        container = FatbinWriter(library, [*OPTIONS, *(["-g"] if wanted.debug else [])])
        for part in wanted.images:
            if part.kind != "elf" or part.arch not in wanted.omit:
                container.add(part)
        temporary.write_bytes(container.to_bytes())
        temporary.replace(wanted.create)
    except (OSError, NvFatbinError) as error:
        temporary.unlink(missing_ok=True)
        sys.stderr.write(f"fatbinary: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[1] / "lib64" / LIBRARY))
