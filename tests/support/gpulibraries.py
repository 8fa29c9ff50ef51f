"""Small libraries with GPU code laid out as nvcc, MLIR and a linker leave it in TensorFlow's, with every byte known."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import lz4.block

from fakeelf import ELF, PTX, SHT_STRTAB, Part, container, elf

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SHT_SYMTAB, SHT_RELA, SHT_DYNSYM = 2, 4, 11
RELATIVE = 8
WRAPPER_MAGIC = 0x466243B1
LZ4, ZSTD = 0x2011, 0x8011
TEXT = b".version 8.3\n.target sm_%d\n.address_size 64\n.visible .entry %s() { ret; }\n"


def ptx(name: str, arch: int = 90, *, suffix: bytes = b"") -> bytes:
    """A module of portable code with one kernel, as it stands decompressed, end mark included."""
    return (TEXT % (arch, name.encode())).replace(b"sm_%d" % arch, b"sm_%d%s" % (arch, suffix)) + b"\0"


def packed(kind: int, arch: int, plain: bytes, *, flags: int = LZ4) -> bytes:
    """An entry with an LZ4 block, padded to 8 bytes."""
    data = lz4.block.compress(plain, store_size=False)
    payload = data.ljust(len(data) + -len(data) % 8, b"\0")
    options = struct.pack("<I12x", 72) if kind == PTX else b""  # where they begin: there are none
    head = 64 + len(options)
    fixed = struct.pack("<HHIQIIHHIII", kind, 0x101, head, len(payload), len(data), 0, 7, 1, arch, 0, 0)
    return fixed + struct.pack("<QQQ", flags, 0, len(plain)) + options + payload


def machine_code(arch: int, name: str, size: int = 300) -> bytes:
    """An entry for machine code whose bytes say whose it is."""
    return packed(ELF, arch, b"\x7fELF" + f"{name} for {arch} ".encode() * (size // 12))


def kernels(name: str, archs: Sequence[int] = (60, 70, 80, 90), *, text: bytes | None = None, size: int = 300) -> bytes:
    """A container as official ones are: machine code for these archs, then portable code."""
    entries = [machine_code(arch, name, size) for arch in archs]
    return container(*entries, packed(PTX, 90, ptx(name) if text is None else text))


@dataclass(frozen=True, kw_only=True)
class Library:
    """What goes into a library; ``relocations`` are (place, type, addend) in addition to those of the wrappers.

    ``wrapped`` are the containers of ``.nv_fatbin`` that have a wrapper; None: all. ``generated`` are the pieces of
    ``.rodata``, containers or not.
    """

    movable: Sequence[bytes] = ()
    generated: Sequence[bytes] = ()
    relocatable: Sequence[bytes] = ()
    wrapped: Sequence[int] | None = None
    relocations: Sequence[tuple[int, int, int]] = ()
    slack: int = 0
    wrapper: tuple[int, int] = (WRAPPER_MAGIC, 1)
    stored: bool = False
    symbols: Sequence[int] = ()
    extra: Sequence[Part] = field(default_factory=tuple)

    def to_bytes(self) -> bytes:
        """The whole file: section N lies at address N times 1 MiB, except what is not loaded."""
        wrappers, relocations = self._wrappers()
        rela = b"".join(struct.pack("<QQQ", *one) for one in [*relocations, *self.relocations])
        dynamic = b"".join(struct.pack("<IBBHQQ", 0, 1, 0, 1, address, 0) for address in (0, *self.symbols))
        parts = [
            Part(name=".dynsym", data=dynamic, kind=SHT_DYNSYM, address=ADDRESS[".dynsym"], link=9, entry_size=24),
            Part(name=".rela.dyn", data=rela, kind=SHT_RELA, address=ADDRESS[".rela.dyn"], entry_size=24),
            Part(name=".rodata", data=b"".join(self.generated) or b"constants", address=ADDRESS[".rodata"]),
            Part(name=".nv_fatbin", data=b"".join(self.movable) + bytes(self.slack), address=ADDRESS[".nv_fatbin"]),
            Part(name="__nv_relfatbin", data=b"".join(self.relocatable), address=ADDRESS["__nv_relfatbin"]),
            Part(name=".nvFatBinSegment", data=wrappers, address=ADDRESS[".nvFatBinSegment"]),
            Part(name=".symtab", data=b"symbols " * 6, kind=SHT_SYMTAB, link=8, entry_size=24),
            Part(name=".strtab", data=b"\0names of symbols\0", kind=SHT_STRTAB),
            Part(name=".dynstr", data=b"\0", kind=SHT_STRTAB, address=9 << 20),
            *self.extra,
        ]
        return elf(*parts)

    def write(self, path: Path) -> Path:
        """Put it into a file."""
        path.write_bytes(self.to_bytes())
        return path

    def _wrappers(self) -> tuple[bytes, list[tuple[int, int, int]]]:
        wanted = set(range(len(self.movable)) if self.wrapped is None else self.wrapped)
        addresses = [address for index, address in enumerate(starts(".nv_fatbin", self.movable)) if index in wanted]
        addresses += starts("__nv_relfatbin", self.relocatable)
        data, relocations = b"", []
        for number, address in enumerate(addresses):
            data += struct.pack("<IIQQ", *self.wrapper, address if self.stored else 0, 0)
            relocations.append((ADDRESS[".nvFatBinSegment"] + 24 * number + 8, RELATIVE, address))
        return data, relocations


NAMES = (".dynsym", ".rela.dyn", ".rodata", ".nv_fatbin", "__nv_relfatbin", ".nvFatBinSegment")
ADDRESS = {name: (1 + number) << 20 for number, name in enumerate(NAMES)}


def starts(section: str, containers: Sequence[bytes]) -> list[int]:
    """The addresses of containers that stand one behind the other."""
    sizes = [len(one) for one in containers]
    return [ADDRESS[section] + sum(sizes[:number]) for number in range(len(sizes))]


def usual() -> Library:
    """Three containers that can move, two generated ones among constants, one to be linked again."""
    return Library(
        movable=[kernels("matmul", size=900), kernels("conv", size=300), kernels("reduce", size=600)],
        generated=[
            b"constant".ljust(24),
            kernels("add", (60, 70, 80)),
            bytes(40),
            kernels("mul", (60, 70, 80)),
            b"end",
        ],
        relocatable=[container(packed(PTX, 90, ptx("nccl")))],
    )


def changed(**values: object) -> Library:
    """The usual library with something else in it."""
    return replace(usual(), **values)  # type: ignore[arg-type]
