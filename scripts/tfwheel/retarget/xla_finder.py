"""Find out about XLA in an official wheel: the CUDA version that it was built with, and the bytes that raise it.

XLA compares the version of ptxas with the one that it was built with, ``kCompileTimeCudaVersion``, in
``NVPTXGetTargetMachine`` (openxla/xla, ``nvptx_backend.cc``), which compilers put into ``CompileToPtx``. There one
instruction takes the address of the constant; then the major version is compared with it (``cmpl $12, X(%rbp)``), and
the minor version, which lies 4 bytes above (``cmpl $5, X+4(%rbp)``). Anything else is refused: nothing is guessed.
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from tfwheel.config.targets import is_core
from tfwheel.gpu import elf, symbol_search
from tfwheel.retarget.errors import XlaCeilingError
from tfwheel.system import console, files
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfwheel.gpu.elf import Section
    from tfwheel.gpu.symbol_search import Symbol

CONSTANT, COMPILE = "kCompileTimeCudaVersion", "_ZN3xla3gpu5nvptx12CompileToPtx"
NEWEST, PTXAS = "120", "12.8"  # a GPU that CUDA 12.5 does not know, and the first CUDA version that does
VERSION = struct.Struct("<3I")  # major, minor, patch: stream_executor::SemanticVersion
LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]", re.DOTALL)  # of an address near the instruction
LARGEST = 0x7F  # of a number in the short form of the comparison
MOST_SLOT = 0x7FFFFFFF  # bytes from the frame
LEA_SIZE = 7  # bytes, of which the last four are the distance
NO_CONSTANT = (
    "XLA has no CUDA version of three 32-bit numbers in it, as before TensorFlow 2.18, and its LLVM knows no GPU after "
    "9.0: for each newer one it emits PTX for sm_90a, which runs on 9.0 alone"
)
OLD_LLVM = (
    "its LLVM knows no GPU after 9.0, so XLA emits PTX for sm_90 there, which ptxas {ptxas} or newer compiles for 12.0"
)
NEW_ENOUGH = "XLA was built with CUDA {built}, which is not older than {cuda}"


@dataclass(frozen=True, kw_only=True)
class _Library:
    """The library that has XLA's compiler, open for reading."""

    name: str
    data: mmap.mmap
    sections: Mapping[str, Section]

    def one(self, found: list[Symbol], what: str) -> Symbol:
        """Return the only one of these symbols; raise XlaCeilingError for none or several."""
        if len(found) != 1:
            message = f"{self.name} has {len(found)} symbols {what}, not one"
            raise XlaCeilingError(message)
        return found[0]

    def place(self, symbol: Symbol) -> int:
        """Return where in the file a symbol is, all of it in one section."""
        first = symbol_search.file_offset(symbol.address, self.sections)
        last = symbol_search.file_offset(symbol.address + max(symbol.size, 1) - 1, self.sections)
        if first is None or last is None or last - first != max(symbol.size, 1) - 1:
            message = f"{self.name}: {symbol.name} is in no section of the file"
            raise XlaCeilingError(message)
        return first


def find(wheel: Path, *, tensorflow: str, cuda: str, work: Path) -> dict[str, Any]:
    """Return what a file of ``build_config/xla/`` says about the XLA of an official wheel, ready for TOML.

    ``cuda`` is the version to raise it to, as in "12.8"; ``work`` a folder for one library. Raises XlaCeilingError
    where the bytes are not what is known, BadWheelError for a wheel that cannot be read.
    """
    facts: dict[str, Any] = {"tensorflow": tensorflow, "ptxas": PTXAS, "measured": "Read in the library, not called."}
    with WheelReader(wheel) as reader:
        for member in sorted(name for name in reader.names() if is_core(name)):
            path = work / PurePosixPath(member).name
            with console.step(f"look for XLA in {path.name}"):
                reader.extract(member, path)
                found = find_in(path, cuda=cuda)
                digest = files.sha256_of(path)
                path.unlink()
            if found is not None:
                whole = {"member": member, "sha256": digest} if "edit" in found else {}
                return facts | whole | found
    message = f"no library of {wheel.name} has XLA's compiler for GPUs ({COMPILE})"
    raise XlaCeilingError(message, remedy="Leave `xla` out of the line's [retarget] in lines.toml.")


def find_in(library: Path, *, cuda: str) -> dict[str, Any] | None:
    """Return what one library says: ``edit`` with ``cuda``, ``unneeded`` or ``unsupported``; None without XLA.

    Raises XlaCeilingError for what is not known, and BadWheelError for what is no library.
    """
    try:
        return _found(library, cuda)
    except (OSError, ValueError, struct.error) as error:
        message = f"{library.name} cannot be read as a library: {error}"
        raise XlaCeilingError(message) from error


def _found(library: Path, cuda: str) -> dict[str, Any] | None:
    with library.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        opened = _Library(name=library.name, data=data, sections=elf.by_name(elf.sections(stream)))
        compiles = list(symbol_search.beginning(COMPILE, data, opened.sections))
        if not compiles:
            return None
        constants = list(symbol_search.ending(CONSTANT, data, opened.sections))
        if not _knows(f"sm_{NEWEST}", opened):
            of_today = any(one.size == VERSION.size for one in constants)
            return {"unneeded": OLD_LLVM.format(ptxas=PTXAS)} if of_today else {"unsupported": NO_CONSTANT}
        constant = opened.one(constants, CONSTANT)
        built = _built(opened, constant)
        if built[:2] >= Version(cuda).release:
            return {"cuda": cuda, "unneeded": NEW_ENOUGH.format(built=".".join(map(str, built)), cuda=cuda)}
        return {"cuda": cuda, "edit": _edits(opened, constant, opened.one(compiles, COMPILE), cuda)}


def _knows(processor: str, library: _Library) -> bool:
    """Return whether a library has the name of a GPU, as LLVM's table of processors has it."""
    word = b"\0" + processor.encode() + b"\0"
    found = symbol_search.occurrences(word, library.data, library.sections.get(".rodata"))
    return next(found, None) is not None


def _built(library: _Library, constant: Symbol) -> tuple[int, ...]:
    """Return the CUDA version in the constant; raise XlaCeilingError for what is none."""
    place = library.place(constant)
    built = VERSION.unpack_from(library.data, place) if constant.size == VERSION.size else ()
    if not built or max(built) > LARGEST:
        message = f"{library.name}: {constant.name} holds no CUDA version"
        raise XlaCeilingError(message)
    return built


def _edits(library: _Library, constant: Symbol, function: Symbol, cuda: str) -> list[dict[str, Any]]:
    """Return both edits: of the constant, and of the instruction that compares with its minor version."""
    at, start = library.place(constant), library.place(function)
    built = _built(library, constant)
    major, minor = Version(cuda).release[:2]
    if major != built[0] or minor > LARGEST:
        message = f"{library.name}: XLA was built with CUDA {built[0]}.{built[1]} and cannot be raised to {cuda}"
        raise XlaCeilingError(message, remedy=f"Ask for a version of CUDA {built[0]}, or leave `xla` out of the line.")
    body = library.data[start : start + function.size]
    taken = _takes(body, constant.address - function.address)
    slot, compared = _comparisons(body[taken + LEA_SIZE :], built, library) if taken is not None else (0, None)
    if taken is None or compared is None:
        message = f"{library.name}: no one instruction of {function.name} takes the address of {constant.name}"
        raise XlaCeilingError(message)
    distance = taken + LEA_SIZE + compared
    old = body[distance : distance + 7]
    new = VERSION.pack(major, minor, 0)
    return [
        {
            "what": f"the CUDA version XLA was built with: {{{_listed(built)}}} becomes {{{major}, {minor}, 0}}",
            "found": f"local symbol; one instruction of CompileToPtx takes its address ({function.address + taken:#x})",
            "symbol": constant.name,
            "distance": 0,
            "offset": at,
            "expected": VERSION.pack(*built).hex(" "),
            "replacement": new.hex(" "),
        },
        {
            "what": f"the comparison of the minor version: cmpl ${built[1]}, {slot:#x}(%rbp) becomes cmpl ${minor}",
            "found": "after the address is taken, the only comparison with the field above that of the major version "
            f"({function.address + distance:#x})",
            "symbol": function.name,
            "distance": distance,
            "offset": start + distance,
            "expected": old.hex(" "),
            "replacement": (old[:-1] + bytes([minor])).hex(" "),
        },
    ]


def _takes(body: bytes, distance: int) -> int | None:
    """Return where a function takes the address of what is at a distance from its beginning; None if not just once."""
    found = [
        match.start()
        for match in LEA.finditer(body)
        if match.start() + LEA_SIZE <= len(body)
        and match.start() + LEA_SIZE + struct.unpack_from("<i", body, match.end())[0] == distance
    ]
    return found[0] if len(found) == 1 else None


def _comparisons(body: bytes, built: tuple[int, ...], library: _Library) -> tuple[int, int]:
    """Return the minor version's place on the stack, and where it is compared; raise XlaCeilingError if not just once.

    ``cmpl $imm8, disp32(%rbp)`` is 83 bd, four bytes of distance from the frame, one byte of number (Intel SDM, CMP).
    """
    found = []
    for match in re.finditer(rb"\x83\xbd(....)" + re.escape(bytes([built[0]])), body, re.DOTALL):
        slot = struct.unpack("<i", match[1])[0] + 4
        if slot > MOST_SLOT:
            continue
        minor = re.escape(b"\x83\xbd" + struct.pack("<i", slot) + bytes([built[1]]))
        found += [(slot, one.start()) for one in re.finditer(minor, body, re.DOTALL)]
    if len(found) != 1:
        message = f"{library.name} compares with CUDA {built[0]}.{built[1]} in {len(found)} places, not in one"
        raise XlaCeilingError(message)
    return found[0]


def _listed(version: tuple[int, ...]) -> str:
    return ", ".join(map(str, version))
