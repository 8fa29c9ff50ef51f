"""Raise the newest CUDA version for which XLA generates code, by edits declared per TensorFlow version.

XLA asks ptxas for its version, takes the lower of that and the CUDA version it was built with, and emits PTX of the
matching level (openxla/xla, ``nvptx_backend.cc``: ``kCompileTimeCudaVersion``). The library has the built-in version
twice: as a constant, and in an instruction that compares with it. ``build_config/xla/<version>.toml`` declares both
offsets and the expected bytes; other bytes raise XlaCeilingError.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tfwheel.config import xla_data
from tfwheel.errors import BadWheelError
from tfwheel.gpu import elf, symbol_search
from tfwheel.gpu.byte_edit import ByteEdit
from tfwheel.retarget.errors import XlaCeilingError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tfwheel.gpu.elf import Section

NVCC = "nvidia-cuda-nvcc-cu12"  # the package that brings ptxas


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The data about XLA in one TensorFlow version.

    ``ptxas`` is the oldest CUDA version whose ptxas compiles XLA's PTX for the newest GPU. ``cuda`` is the version that
    the edits set in ``member``, the library with that ``sha256``; without edits, ``unneeded`` or ``unsupported`` says
    why.
    """

    tensorflow: str
    ptxas: str
    cuda: str | None
    unneeded: str | None
    unsupported: str | None
    member: str
    sha256: str
    edits: tuple[ByteEdit, ...]


def load(folder: Path, tensorflow: str) -> Ceiling:
    """Read the data of a TensorFlow version; raise ConfigError if there is none or it is malformed."""
    data = xla_data.read(folder, tensorflow)
    return Ceiling(
        tensorflow=data.tensorflow,
        ptxas=data.ptxas,
        cuda=data.cuda,
        unneeded=data.unneeded,
        unsupported=data.unsupported,
        member=data.member,
        sha256=data.sha256 or "",
        edits=tuple(
            ByteEdit(
                what=entry.what,
                symbol=entry.symbol,
                distance=entry.distance,
                offset=entry.offset,
                expected=bytes.fromhex(entry.expected),
                replacement=bytes.fromhex(entry.replacement),
            )
            for entry in data.edit
        ),
    )


def edits(ceiling: Ceiling, library: Path, *, cuda: str) -> tuple[ByteEdit, ...]:
    """Return the edits that raise the ceiling of an official library to ``cuda``, after checking that they fit it.

    The symbol table and the declared offset must lead to the same place, which must have the expected bytes. Empty if
    the version has none. Writes nothing. Raises XlaCeilingError for any difference.
    """
    if not ceiling.edits:
        return ()
    if cuda != ceiling.cuda:
        message = (
            f"XLA of TensorFlow {ceiling.tensorflow} can be lifted to CUDA {ceiling.cuda}, and {cuda} is asked for"
        )
        raise XlaCeilingError(message, remedy="Correct `xla` of the line's [retarget] in build_config/lines.toml.")
    try:
        with library.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _check_hash(ceiling, hashlib.file_digest(stream, "sha256").hexdigest(), library)
            sections = elf.by_name(elf.sections(stream))
            for edit in ceiling.edits:
                _check(edit, data, sections, library)
    except (BadWheelError, OSError, ValueError, struct.error) as error:
        message = f"{library.name} cannot be read as a library: {error}"
        raise XlaCeilingError(message) from error
    return ceiling.edits


def requirements(ceiling: Ceiling | None, official: Iterable[str]) -> tuple[str, ...]:
    """Return the requirement of the extra ``and-cuda`` for ptxas with a higher minimum, which METADATA gets.

    ``official`` are the requirements of the official wheel. An exact pin becomes a range up to the next CUDA major.
    None where XLA is left as it is, or where a newer ptxas would not help it.
    """
    if ceiling is None or ceiling.unsupported:
        return ()
    found = [one for one in map(Requirement, official) if canonicalize_name(one.name) == NVCC]
    if len(found) != 1:
        message = f"TensorFlow {ceiling.tensorflow} names {NVCC} {len(found)} times in its requirements, not once"
        raise XlaCeilingError(message)
    (old,) = found
    ceilings = [str(one) for one in old.specifier if one.operator in ("<", "<=")]
    bounds = ceilings or [f"<{Version(ceiling.ptxas).major + 1}.0"]
    old.specifier = SpecifierSet(",".join([f">={ceiling.ptxas}", *bounds]))
    return (str(old),)


def _check_hash(ceiling: Ceiling, found: str, library: Path) -> None:
    if found != ceiling.sha256:
        message = (
            f"{library.name} has sha256 {found}; the {ceiling.member} of TensorFlow {ceiling.tensorflow} with "
            f"known edits has {ceiling.sha256}"
        )
        raise XlaCeilingError(message)


def _check(edit: ByteEdit, data: mmap.mmap, sections: dict[str, Section], library: Path) -> None:
    """Check one edit against the library: the symbol leads to the offset, which has the expected bytes."""
    addresses = {one.address for one in symbol_search.named(edit.symbol, data, sections)}
    if len(addresses) != 1:
        message = f"{library.name} has {len(addresses)} symbols {edit.symbol}, not one"
        raise XlaCeilingError(message)
    place = symbol_search.file_offset(addresses.pop() + edit.distance, sections)
    if place != edit.offset:
        message = f"{library.name}: {edit.symbol} leads to byte {place}, and {edit.offset} is declared"
        raise XlaCeilingError(message)
    found = data[edit.offset : edit.offset + len(edit.expected)]
    if found != edit.expected:
        message = (
            f"{library.name}, byte {edit.offset:#x} ({edit.what}): found {found.hex(' ')}, "
            f"expected {edit.expected.hex(' ')}"
        )
        raise XlaCeilingError(message)
