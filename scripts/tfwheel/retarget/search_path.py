"""Have a library find CUDA in pip's packages before LD_LIBRARY_PATH, by one byte: DT_RUNPATH becomes DT_RPATH.

glibc searches DT_RPATH of the object that calls dlopen, LD_LIBRARY_PATH, then DT_RUNPATH; it ignores the DT_RPATH of an
object that has DT_RUNPATH, too (ld.so(8); glibc, ``elf/dl-load.c``: ``_dl_map_object``). Both tags have the same value,
so the path itself stays.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tfwheel.errors import BadWheelError
from tfwheel.gpu import elf
from tfwheel.gpu.byte_edit import ByteEdit
from tfwheel.retarget.errors import SearchPathError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

SYMBOL = "_DYNAMIC"  # the dynamic section, by the name that the System V gABI gives it


def edits(library: Path) -> tuple[ByteEdit, ...]:
    """Return the one edit of a library, after checking that it has one DT_RUNPATH and no DT_RPATH; writes nothing.

    Raises SearchPathError for any other library.
    """
    try:
        with library.open("rb") as stream:
            found = list(_tags(stream))
    except (BadWheelError, OSError, struct.error) as error:
        message = f"{library.name} cannot be read as a library: {error}"
        raise SearchPathError(message) from error
    if [tag for tag, _, _ in found] != [elf.RUNPATH]:
        words = {elf.RUNPATH: "DT_RUNPATH", elf.RPATH: "DT_RPATH"}
        there = ", ".join(words[tag] for tag, _, _ in found) or "no search path"
        message = f"{library.name} has {there}; one DT_RUNPATH alone can become DT_RPATH"
        raise SearchPathError(message)
    ((_, distance, offset),) = found
    edit = ByteEdit(
        what="DT_RUNPATH becomes DT_RPATH: pip's CUDA packages before LD_LIBRARY_PATH",
        symbol=SYMBOL,
        distance=distance,
        offset=offset,
        expected=bytes([elf.RUNPATH]),
        replacement=bytes([elf.RPATH]),
    )
    return (edit,)


def _tags(stream: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield tag, distance from the start of the dynamic section, and offset in the file of each search path."""
    for section in elf.sections(stream):
        if section.kind != "SHT_DYNAMIC":
            continue
        stream.seek(section.offset)
        data = stream.read(section.size)
        for distance in range(0, len(data) - elf.DYNAMIC.size + 1, elf.DYNAMIC.size):
            tag, _ = elf.DYNAMIC.unpack_from(data, distance)
            if tag == 0:
                break
            if tag in (elf.RUNPATH, elf.RPATH):
                yield tag, distance, section.offset + distance
