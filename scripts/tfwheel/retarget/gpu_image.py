"""Define what decides the bytes of a new GPU image besides its PTX: the call of ptxas and the container entry.

This is a separate module because the keys of ``<cache>/gpu-code`` include its digest: after a change here everything is
compiled again, which takes minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.gpu import fatbin
from tfwheel.gpu.errors import FatbinError
from tfwheel.gpu.fatbinary_program import FatbinWriter, NvFatbinError

if TYPE_CHECKING:
    from pathlib import Path

ARGUMENTS = ("-arch", "sm_{arch}")  # otherwise ptxas's defaults, as nvcc has them: full optimisation


def portable(ptx: bytes) -> bytes:
    """Return PTX as ptxas reads it: for every GPU from its version on, without the final NUL."""
    return fatbin.untied(ptx).rstrip(b"\0")


def entry(nvfatbin: Path, code: bytes, *, arch: str) -> bytes:
    """Return the container entry of a cubin, made by NVIDIA's libnvfatbin; raise FatbinError if that fails."""
    try:
        container = FatbinWriter(nvfatbin)
        container.add_code("elf", arch, code)
        data = container.to_bytes()
    except (OSError, NvFatbinError) as error:
        message = f"libnvfatbin accepts no cubin of {len(code):,} bytes for {arch}: {error}"
        raise FatbinError(message) from error
    made = fatbin.only_entry(data)
    return data[made.header : made.end]
