"""Inspect cubins: run NVIDIA's cuobjdump and nvdisasm, and read arch and kernels from the symbols."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.gpu import elf, nvidia_tools
from tfwheel.system import scratch
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CUOBJDUMP = "nvidia-cuda-cuobjdump==13.5.37"
NVDISASM = "nvidia-cuda-nvdisasm==13.5.37"
_LISTED = re.compile(r"^(ELF|PTX) file +\d+: .*\.sm_(\d+)[af]?\.(?:cubin|ptx)$", re.MULTILINE)
_KERNEL_INFO, _KERNEL_OTHER = 0x2, 0x10  # STT_FUNC; NVIDIA's mark of a kernel in st_other (STO_CUDA_ENTRY)


@dataclass(frozen=True, kw_only=True)
class Cubin:
    """The arch of a cubin (90; 0 if it is not for a GPU) and the names of its kernels."""

    arch: int
    kernels: frozenset[bytes]


def prepare(cache: Path) -> Path:
    """Return the folder with both programs, fetched on the first call; raise DownloadError or ToolchainError."""
    files = {"cuobjdump": "bin", "nvdisasm": "bin"}
    return nvidia_tools.fetch((CUOBJDUMP, NVDISASM), files, cache=cache, remedy="Correct the pins in cuda_binutils.py.")


def listing(tools: Path, containers: Iterable[bytes]) -> list[tuple[str, int]]:
    """Return kind ("ELF", "PTX") and arch of all images in these containers, as cuobjdump lists them.

    cuobjdump takes about five times their size in memory. Raises CommandError if it cannot read them.
    """
    with scratch.file("cuobjdump", ".fatbin") as piece:
        for container in containers:
            piece.write(container)
        piece.flush()
        answer = run([tools / "cuobjdump", "-lelf", "-lptx", piece.name])
    return [(kind, int(arch)) for kind, arch in _LISTED.findall(answer)]


def disassemble(tools: Path, cubin: bytes) -> str:
    """Return nvdisasm's output for a cubin; raise CommandError if it cannot read it."""
    with scratch.file("nvdisasm", ".cubin") as piece:
        piece.write(cubin)
        piece.flush()
        return run([tools / "nvdisasm", piece.name])


def read_cubin(cubin: bytes) -> Cubin:
    """Read the arch from the header and the kernels from the symbols; raise BadWheelError if it is not an ELF file."""
    found = set()
    arch = elf.gpu_arch(cubin)
    for name, info, other in elf.symbols(cubin):
        if info & 0xF == _KERNEL_INFO and other & _KERNEL_OTHER:
            found.add(name)
    return Cubin(arch=arch, kernels=frozenset(found))
