"""Find all pointers to GPU code in a library, and raise an error for one that cannot be corrected.

nvcc's programs find a container through a wrapper in ``.nvFatBinSegment``. The loader fills in the wrapper's pointer
from a relocation R_X86_64_RELATIVE (System V psABI for x86-64, table 4.9), whose addend is the address. Any other
pointer into a section that may move is an error. Containers among constants (``.rodata``) are addressed by
instructions, which cannot be listed, so they never move.
"""

from __future__ import annotations

import os
import struct
from array import array
from typing import IO, TYPE_CHECKING

from tfwheel.gpu import elf, fatbin
from tfwheel.retarget.errors import RelocationError, UnknownLayoutError
from tfwheel.retarget.section_layout import Patch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfwheel.gpu.elf import Section
    from tfwheel.gpu.fatbin import FatbinContainer
    from tfwheel.retarget.section_layout import Layout

WRAPPERS = ".nvFatBinSegment"
ADDEND_AT = 16  # offset in an Elf64_Rela
WORD = 8  # bytes
LARGEST_TABLE = 1 << 30  # bytes; the relocations of libtensorflow_cc.so.2 have 19 MB


class Relocations:
    """The pointers to containers of a library; the constructor finds and checks them."""

    def __init__(self, layout: Layout, containers: Mapping[str, Sequence[FatbinContainer]]) -> None:
        """Find and check the pointers; ``containers`` are those of the library by section.

        Raises RelocationError for a pointer into the middle of a container, and, where containers may move, for a
        pointer outside a wrapper and for a container without a wrapper. Raises UnknownLayoutError for unknown wrappers.
        """
        self._layout = layout
        self._places: dict[int, list[int]] = {}  # address of a container: file offsets of the words that hold it
        with layout.path.open("rb") as stream:
            self._symbols = _symbol_addresses(stream, layout)
            relocations = [part for part in layout.sections.values() if part.kind == "SHT_RELA" and part.address]
            for section in relocations:
                self._take(_words(stream, layout, section, elf.RELA.size), stream, section, containers)
        self._check_all_found(containers)

    def patches(self, containers: Sequence[FatbinContainer], places: Sequence[int]) -> Iterator[Patch]:
        """Yield the patches for containers of one section that move to new file offsets (``places``)."""
        section = self._layout.sections[containers[0].section]
        shift = section.address - section.offset
        for container, place in zip(containers, places, strict=True):
            if place != container.offset:
                for offset in self._places[container.offset + shift]:
                    yield Patch(offset=offset, data=struct.pack("<Q", place + shift))

    def _take(
        self,
        words: array[int],
        stream: IO[bytes],
        table: Section,
        containers: Mapping[str, Sequence[FatbinContainer]],
    ) -> None:
        for name, members in containers.items():
            section = self._layout.sections[name]
            start, end = section.address, section.address + section.size
            inside = {member.offset - section.offset + start: member.size for member in members}
            applied = [place for place in words[0::3] if start <= place < end]
            hits = [index for index, addend in enumerate(words[2::3]) if start <= addend < end]
            if name == fatbin.DATA_SECTION:
                self._check_not_inside(words, hits, inside)
                continue
            if applied or any(start <= address < end for address in self._symbols):
                message = f"{self._layout.path.name}: {table.name} changes {name} itself, or a symbol is in it"
                raise RelocationError(message)
            for index in hits:
                self._take_one(stream, words[3 * index : 3 * index + 3], table.offset + elf.RELA.size * index, inside)

    def _check_not_inside(self, words: array[int], hits: Iterable[int], inside: Mapping[int, int]) -> None:
        taken = sorted((start + 1, start + size) for start, size in inside.items())
        pointers = sorted(words[3 * index + 2] for index in hits)
        number = 0
        for pointer in pointers:
            while number < len(taken) and taken[number][1] <= pointer:
                number += 1
            if number < len(taken) and taken[number][0] <= pointer:
                raise self._error(pointer, "the middle of a container")

    def _take_one(self, stream: IO[bytes], relocation: array[int], offset: int, inside: Mapping[int, int]) -> None:
        place, kind, addend = relocation
        if kind != elf.RELATIVE or addend not in inside:
            what = (
                "the middle of a container" if kind == elf.RELATIVE else f"GPU code by a relocation of type {kind:#x}"
            )
            raise self._error(addend, what)
        self._places.setdefault(addend, []).append(offset + ADDEND_AT)
        stored = self._wrapper(stream, place, addend)
        if stored is not None:
            self._places[addend].append(stored)

    def _wrapper(self, stream: IO[bytes], place: int, address: int) -> int | None:
        """Check that a relocated word is in a wrapper; return its file offset if the file stores the address, too."""
        section = self._layout.sections.get(WRAPPERS)
        position = place - section.address if section else -1
        if not section or not 0 <= position < section.size or position % fatbin.WRAPPER.size != fatbin.CONTAINER_AT:
            message = f"{self._layout.path.name}: the pointer to GPU code at address {place:#x} is not a wrapper's"
            raise RelocationError(message)
        if section.size % fatbin.WRAPPER.size:
            message = f"{self._layout.path.name}: {WRAPPERS} has {section.size:,} bytes, so its last wrapper is cut"
            raise UnknownLayoutError(message)
        start = section.offset + position - fatbin.CONTAINER_AT
        magic, version, stored, _ = fatbin.WRAPPER.unpack(os.pread(stream.fileno(), fatbin.WRAPPER.size, start))
        known = magic == fatbin.WRAPPER_MAGIC and version in fatbin.WRAPPER_VERSIONS
        if not known or stored not in (0, address):
            message = (
                f"{self._layout.path.name}: {WRAPPERS}, byte {start:,}: magic {magic:#x}, version {version}, "
                f"address {stored:#x} where the loader puts {address:#x}"
            )
            raise UnknownLayoutError(message)
        return start + fatbin.CONTAINER_AT if stored else None

    def _check_all_found(self, containers: Mapping[str, Sequence[FatbinContainer]]) -> None:
        for name, members in containers.items():
            section = self._layout.sections[name]
            for member in members if name != fatbin.DATA_SECTION else ():
                if member.offset - section.offset + section.address not in self._places:
                    message = (
                        f"{self._layout.path.name}: no relocation points to the container at byte {member.offset:,} "
                        f"of {name}, so it cannot be moved"
                    )
                    raise RelocationError(message)

    def _error(self, address: int, what: str) -> RelocationError:
        return RelocationError(f"{self._layout.path.name}: a relocation points to {what} (address {address:#x})")


def _words(stream: IO[bytes], layout: Layout, table: Section, step: int) -> array[int]:
    """Read a table of 64-bit numbers, little-endian as on every x86-64 machine; ``step`` is the size of its entries."""
    if table.size % step or table.size > LARGEST_TABLE:
        message = f"{layout.path.name}: {table.name} has {table.size:,} bytes, and its entries have {step} each"
        raise UnknownLayoutError(message)
    words = array("Q")
    words.frombytes(os.pread(stream.fileno(), table.size, table.offset))
    return words


def _symbol_addresses(stream: IO[bytes], layout: Layout) -> list[int]:
    tables = [part for part in layout.sections.values() if part.kind == "SHT_DYNSYM"]
    step = elf.SYMBOL.size
    return [address for table in tables for address in _words(stream, layout, table, step)[1 :: step // WORD]]
