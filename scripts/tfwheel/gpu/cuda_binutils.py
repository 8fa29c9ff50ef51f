"""Machine code for GPUs, looked at: NVIDIA's cuobjdump and nvdisasm, fetched once, and the symbols of a cubin."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.gpu import elf, nvidia_tools
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CUOBJDUMP = "nvidia-cuda-cuobjdump==13.5.37"
NVDISASM = "nvidia-cuda-nvdisasm==13.5.37"
_LISTED = re.compile(r"^(ELF|PTX) file +\d+: .*\.sm_(\d+)[af]?\.(?:cubin|ptx)$", re.MULTILINE)
_KERNEL_INFO, _KERNEL_OTHER = 0x2, 0x10  # STT_FUNC, and what NVIDIA's tools set for a kernel (STO_CUDA_ENTRY)


@dataclass(frozen=True, kw_only=True)
class MachineCode:
    """What a cubin is for: its arch (90; 0 where it is for no GPU), and the kernels in it."""

    arch: int
    kernels: frozenset[bytes]


def prepare(cache: Path) -> Path:
    """The folder with both programs, fetched on the first call; raises DownloadError and ToolchainError."""
    files = {"cuobjdump": "bin", "nvdisasm": "bin"}
    return nvidia_tools.fetch((CUOBJDUMP, NVDISASM), files, cache=cache, remedy="Correct the pins in cuda_binutils.py.")


def listing(tools: Path, containers: Iterable[bytes]) -> list[tuple[str, int]]:
    """Kind ("ELF", "PTX") and arch of all images of some containers as cuobjdump lists them; raises CommandError.

    It takes about five times their size in memory.
    """
    with tempfile.NamedTemporaryFile(prefix="tfwheel-cuobjdump-", suffix=".fatbin") as piece:
        for container in containers:
            piece.write(container)
        piece.flush()
        answer = run([tools / "cuobjdump", "-lelf", "-lptx", piece.name])
    return [(kind, int(arch)) for kind, arch in _LISTED.findall(answer)]


def disassemble(tools: Path, cubin: bytes) -> str:
    """What nvdisasm makes of machine code; raises CommandError where it refuses it."""
    with tempfile.NamedTemporaryFile(prefix="tfwheel-nvdisasm-", suffix=".cubin") as piece:
        piece.write(cubin)
        piece.flush()
        return run([tools / "nvdisasm", piece.name])


def machine_code(cubin: bytes) -> MachineCode:
    """Read the arch and the kernels from the header and the symbols; BadWheelError when it is no ELF file."""
    found = set()
    arch = elf.gpu_arch(cubin)
    for name, info, other in elf.symbols(cubin):
        if info & 0xF == _KERNEL_INFO and other & _KERNEL_OTHER:
            found.add(name)
    return MachineCode(arch=arch, kernels=frozenset(found))
