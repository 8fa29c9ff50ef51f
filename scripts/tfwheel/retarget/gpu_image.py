"""What decides the bytes of a new GPU image besides its PTX: how ptxas is called, and the container entry made of it.

A module of its own because ``<cache>/gpu-code`` depends on it: a change here compiles everything again, for minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.gpu import fatbin
from tfwheel.gpu.errors import FatbinError
from tfwheel.gpu.fatbinary_program import FatbinWriter, NvFatbinError

if TYPE_CHECKING:
    from pathlib import Path

ARGUMENTS = ("-arch", "sm_{arch}")  # all else as nvcc calls it: optimised in full


def portable(ptx: bytes) -> bytes:
    """The same as ptxas takes it: text without an end mark."""
    return fatbin.untied(ptx).rstrip(b"\0")


def entry(nvfatbin: Path, code: bytes, *, arch: str) -> bytes:
    """A container entry for machine code, header included, as NVIDIA's libnvfatbin makes it; FatbinError on refusal."""
    try:
        container = FatbinWriter(nvfatbin)
        container.add_code("elf", arch, code)
        data = container.to_bytes()
    except (OSError, NvFatbinError) as error:
        message = f"libnvfatbin takes no machine code of {len(code):,} bytes for {arch}: {error}"
        raise FatbinError(message) from error
    (made,) = fatbin.parse(data).entries
    return data[made.header : made.end]
