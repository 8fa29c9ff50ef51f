"""Check a retargeted library against the official one, independently of the code that wrote it.

A gate takes a Pair and returns its finding, one line for the record, or raises RetargetGateError. NVIDIA's cuobjdump
lists all images, NVIDIA's nvdisasm disassembles a sample; the files are read in pieces, never whole.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tfwheel.checks.byte_diff import unchanged
from tfwheel.checks.errors import RetargetGateError
from tfwheel.errors import BadWheelError
from tfwheel.gpu import cuda_binutils, fatbin
from tfwheel.gpu.errors import FatbinError
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.schema import Retarget
    from tfwheel.gpu.byte_edit import ByteEdit
    from tfwheel.gpu.fatbin import FatbinContainer, FatbinEntry

PIECE = 16 << 20  # bytes of containers per call: cuobjdump takes about five times as much memory
SAMPLE = 4  # number of new images that are disassembled
SAMPLE_SIZE = 64 << 10  # bytes of the largest one: nvdisasm takes 10 s and more for a few MB
RELOCATABLE = "__nv_relfatbin"
# PTX for one GPU or family alone (PTX ISA, `.target`). Not `fatbin.untied`, by which the suffix was removed: a fault in
# that function must not be in its check, too.
_TIED = re.compile(rb"^(\.target\s+sm_\d+)[af]\b", re.MULTILINE)
_TARGET = re.compile(rb"^\.target\s+sm_(\w+)", re.MULTILINE)
_ENTRY = re.compile(rb"\.entry\s+([\w$]+)")


@dataclass(frozen=True, kw_only=True)
class Retargeted:
    """A library before and after retargeting, and the declared differences.

    ``archs`` maps a section to the images that its containers must have ("sm_120", "compute_90"); ``edits`` are the
    changed bytes of XLA; ``symbols`` says whether the symbol tables are kept.
    """

    original: Path
    patched: Path
    archs: Mapping[str, Sequence[str]]
    edits: Sequence[ByteEdit] = ()
    symbols: bool = True


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Reads a Retargeted for the gates; ``tools`` is the folder of NVIDIA's programs."""

    library: Retargeted
    tools: Path

    @property
    def name(self) -> str:
        """The file name, for messages."""
        return self.library.patched.name

    @cached_property
    def before(self) -> dict[str, list[FatbinContainer]]:
        """The containers of the official library, by section."""
        return _by_section(self.library.original)

    @cached_property
    def after(self) -> dict[str, list[FatbinContainer]]:
        """The containers of the retargeted library, by section."""
        return _by_section(self.library.patched)

    def containers(self) -> Iterator[tuple[FatbinContainer, FatbinContainer]]:
        """Yield (old, new) for each container, in file order; raise RetargetGateError if their numbers differ."""
        for section in sorted({*self.before, *self.after}):
            old, new = self.before.get(section, []), self.after.get(section, [])
            if len(old) != len(new):
                message = f"{self.name}: {section} has {len(new)} containers; the official one has {len(old)}"
                raise RetargetGateError(message)
            yield from zip(old, new, strict=True)

    def bytes_of(self, entry: FatbinEntry, *, official: bool = False) -> bytes:
        """Read the payload of an entry, as it is in the file."""
        path = self.library.original if official else self.library.patched
        with path.open("rb") as stream:
            return os.pread(stream.fileno(), entry.size, entry.offset)

    def image(self, entry: FatbinEntry, *, official: bool = False) -> bytes:
        """Read the code of an entry, decompressed; raise FatbinError if that fails."""
        return fatbin.image(entry, self.bytes_of(entry, official=official))


def promised(wanted: Retarget) -> dict[str, tuple[str, ...]]:
    """Return the images that a line promises, by section: the value of ``Retargeted.archs``."""
    ptx = (f"compute_{wanted.ptx}",) if wanted.ptx else ()
    moved = (*(f"sm_{arch}" for arch in wanted.archs), *ptx)
    generated = (*(f"sm_{arch}" for arch in wanted.generated), *ptx)
    return {".nv_fatbin": moved, RELOCATABLE: moved, fatbin.DATA_SECTION: generated}


def run_retarget_gates(library: Retargeted, *, cache: Path) -> dict[str, str]:
    """Check a retargeted library with every gate, in a fixed order; return gate name -> finding.

    Raises RetargetGateError for wrong GPU code or any other changed byte, and DownloadError or ToolchainError if
    NVIDIA's programs are not available.
    """
    pair = Pair(library=library, tools=cuda_binutils.prepare(cache))
    try:
        return {"untouched": unchanged(library, pair.before, pair.after)} | {
            gate.__name__: gate(pair) for gate in GATES
        }
    except FatbinError as error:
        message = f"{pair.name}: {error.message}"
        raise RetargetGateError(message) from error


def run_edit_gates(library: Retargeted) -> dict[str, str]:
    """Check a library of which only declared bytes may differ; return what ``run_retarget_gates`` does."""
    return {"untouched": unchanged(library, {}, {})}


def archs(pair: Pair) -> str:
    """Check that each container has exactly the images that ``_expected`` derives from the promise; count them."""
    counts: dict[tuple[str, str], int] = {}
    for old, new in pair.containers():
        found, expected = [entry.name for entry in new.entries], _expected(old, pair.library.archs)
        if sorted(found) != sorted(expected):
            message = (
                f"{pair.name}: the container at byte {new.offset:,} ({new.section}) has "
                f"{', '.join(found) or 'nothing'}; promised is {', '.join(expected)}"
            )
            raise RetargetGateError(message)
        for name in found:
            counts[new.section, name] = counts.get((new.section, name), 0) + 1
    return "; ".join(
        f"{section}: " + ", ".join(f"{name} in {count}" for (place, name), count in counts.items() if place == section)
        for section in sorted({place for place, _ in counts})
    )


def listed(pair: Pair) -> str:
    """Check that NVIDIA's cuobjdump lists the same images in the same order as ``fatbin``."""
    groups = list(_groups([new for _, new in pair.containers()]))
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda group: _ask_cuobjdump(pair, group), groups)
        for group, answer in zip(groups, answers, strict=True):
            for kind in ("ELF", "PTX"):
                expected = [entry.arch for container in group for entry in container.entries if entry.kind == kind]
                found = [arch for word, arch in answer if word == kind]
                if found != expected:
                    message = (
                        f"{pair.name}: cuobjdump lists {len(found)} images ({kind}) in the {len(group)} containers "
                        f"from byte {group[0].offset:,} on; promised are {len(expected)}"
                    )
                    raise RetargetGateError(message)
    images = sum(len(container.entries) for group in groups for container in group)
    return f"{images} images listed by {cuda_binutils.CUOBJDUMP.replace('==', ' ')}"


def kept(pair: Pair) -> str:
    """Check that each kept image is the official one; PTX for one GPU alone may lose its suffix, and nothing else."""
    same = untied = 0
    for old, new in pair.containers():
        was = {entry.name: entry for entry in old.entries}
        for entry in new.entries:
            if entry.name not in was or pair.bytes_of(entry) == pair.bytes_of(was[entry.name], official=True):
                same += entry.name in was
                continue
            before, after = pair.image(was[entry.name], official=True), pair.image(entry)
            if entry.kind == "PTX" and _untied(before) == _untied(after):
                untied += 1
            elif before != after:
                message = (
                    f"{pair.name}: {entry.name} at byte {entry.offset:,} ({entry.section}) is not the official image"
                )
                raise RetargetGateError(message)
            else:
                same += 1
    return f"{same} images as in the official library, {untied} of PTX made portable"


def compiled(pair: Pair) -> str:
    """Check that each new image is a cubin for its arch, with the kernels of the PTX that it was compiled from."""
    number = kernels = 0
    for old, new in pair.containers():
        made = [entry for entry in new.entries if entry.name not in {one.name for one in old.entries}]
        source = next((entry for entry in old.entries if entry.kind == "PTX"), None)
        names = set(_ENTRY.findall(pair.image(source, official=True))) if made and source else set()
        for entry in made:
            found = _kernels(pair, entry)
            if found != names:
                odd = min(found ^ names).decode(errors="replace")
                message = (
                    f"{pair.name}: {entry.name} at byte {entry.offset:,} ({entry.section}) has {len(found)} kernels, "
                    f"its source {len(names)}; `{odd}` is in one only"
                )
                raise RetargetGateError(message)
            number, kernels = number + 1, kernels + len(found)
    return f"{number} new images with {kernels} kernels, those of their PTX"


def portable(pair: Pair) -> str:
    """Check that no PTX is for one GPU or family alone."""
    texts = [entry for _, new in pair.containers() for entry in new.entries if entry.kind == "PTX"]
    for entry in texts:
        target = _TARGET.search(pair.image(entry))
        if target is None or not target[1].isdigit():
            found = target[0].decode() if target else "no .target"
            message = f"{pair.name}: PTX at byte {entry.offset:,} ({entry.section}) has `{found}`"
            raise RetargetGateError(message)
    return f"{len(texts)} pieces of PTX, each for every GPU from its version on"


def disassembled(pair: Pair) -> str:
    """Check that NVIDIA's nvdisasm reads a sample of the smaller new images, evenly spread and always the same."""
    new = [
        entry
        for old, container in pair.containers()
        for entry in container.entries
        if entry.kind == "ELF" and entry.name not in {one.name for one in old.entries}
    ]
    small = [entry for entry in new if entry.plain_size <= SAMPLE_SIZE] or sorted(new, key=_by_size)[:1]
    sample = [small[number * (len(small) - 1) // (SAMPLE - 1)] for number in range(SAMPLE)] if small else []
    chosen = list({entry.offset: entry for entry in sample}.values())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda entry: _ask_nvdisasm(pair, entry), chosen))
    return f"{len(chosen)} of {len(new)} new images disassembled by {cuda_binutils.NVDISASM.replace('==', ' ')}"


GATES = (archs, listed, kept, compiled, portable, disassembled)


def _by_section(library: Path) -> dict[str, list[FatbinContainer]]:
    found: dict[str, list[FatbinContainer]] = {}
    for container in fatbin.containers(library):
        found.setdefault(container.section, []).append(container)
    return found


def _expected(old: FatbinContainer, promised: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the images that a container must have now: the promised ones that it had, or has PTX to compile from.

    A container that would have none keeps all of its images, and so does a section without a promise.
    """
    was = [entry.name for entry in old.entries]
    has_source = old.section != RELOCATABLE and any(entry.kind == "PTX" for entry in old.entries)
    wanted = promised.get(old.section, ())
    return [name for name in wanted if name in was or (has_source and name.startswith("sm_"))] or was


def _untied(ptx: bytes) -> bytes:
    return _TIED.sub(rb"\1", ptx.rstrip(b"\0"), count=1)


def _groups(containers: Sequence[FatbinContainer]) -> Iterator[list[FatbinContainer]]:
    """Group neighbouring containers of one section, up to PIECE bytes per group."""
    group: list[FatbinContainer] = []
    for container in containers:
        size = sum(one.size for one in group)
        if group and (group[0].section != container.section or size + container.size > PIECE):
            yield group
            group = []
        group.append(container)
    if group:
        yield group


def _by_size(entry: FatbinEntry) -> tuple[int, int]:
    return entry.plain_size, entry.offset


def _ask_cuobjdump(pair: Pair, group: Sequence[FatbinContainer]) -> list[tuple[str, int]]:
    with pair.library.patched.open("rb") as stream:
        pieces = (os.pread(stream.fileno(), container.size, container.offset) for container in group)
        try:
            return cuda_binutils.listing(pair.tools, pieces)
        except CommandError as error:
            message = f"{pair.name}: cuobjdump cannot read what begins at byte {group[0].offset:,}: {error.message}"
            raise RetargetGateError(message) from error


def _kernels(pair: Pair, entry: FatbinEntry) -> frozenset[bytes]:
    """Return the kernels of a new image; raise RetargetGateError if it is not a cubin for its arch."""
    place = f"{pair.name}: {entry.name} at byte {entry.offset:,} ({entry.section})"
    try:
        found = cuda_binutils.read_cubin(pair.image(entry))
    except BadWheelError as error:
        message = f"{place} is not a cubin"
        raise RetargetGateError(message) from error
    if found.arch != entry.arch:
        message = f"{place} is for another processor: {found.arch or 'no GPU'}"
        raise RetargetGateError(message)
    return found.kernels


def _ask_nvdisasm(pair: Pair, entry: FatbinEntry) -> None:
    place = f"{entry.name} at byte {entry.offset:,} ({entry.section})"
    try:
        listing = cuda_binutils.disassemble(pair.tools, pair.image(entry))
    except CommandError as error:
        message = f"{pair.name}: nvdisasm cannot read {place}: {error.message}"
        raise RetargetGateError(message) from error
    if not re.search(rf"(\.target\s+sm_|EF_CUDA_SM){entry.arch}\b", listing):
        message = f"{pair.name}: nvdisasm finds no code for {place}"
        raise RetargetGateError(message)
