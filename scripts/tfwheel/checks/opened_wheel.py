"""Open a finished wheel for the gates, beside the official wheel it was made from.

Members that both have are compared as compressed bytes; only the wheel's own members, and libraries with the kernels
that TensorFlow runs, are unpacked, to disk. So memory use does not grow with the wheel.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from tfwheel.config import gpu_support
from tfwheel.gpu import code_inventory
from tfwheel.system import scratch
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from tfwheel.config.targets import Base, RepairRules, Target
    from tfwheel.gpu.code_inventory import LibraryCode

PROJECT = "tensorflow"
OPS_PROJECT = "tfwheel-ops"
GRAFTED = "tfwheel_ops.libs"  # where auditwheel puts libraries that it copies into the ops wheel
NEW_IN_EVERY_WHEEL = ("METADATA", "RECORD", "WHEEL")
ELF_MAGIC = b"\x7fELF"


class MergedFiles(Protocol):
    """A merged wheel and its declared changes: members added to its base, replaced in it, or removed from it.

    Added and replaced members have their names in the new wheel, removed ones their names in the base.
    """

    @property
    def wheel(self) -> Path:
        """The wheel file."""

    @property
    def added(self) -> Collection[str]:
        """Members that the base does not have."""

    @property
    def replaced(self) -> Collection[str]:
        """Members whose bytes differ from the base."""

    @property
    def removed(self) -> Collection[str]:
        """Members of the base that the wheel does not have."""


@dataclass(frozen=True, kw_only=True)
class OpenedOfficial:
    """The opened official wheel and its entry in ``bases.toml``.

    ``kept`` maps each member that must be official, byte for byte, to its name in the official wheel.
    """

    wheel: WheelReader
    locked: Base
    kept: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class OpenedWheel:
    """A wheel opened for the gates.

    ``own`` maps each member that it does not share with an official wheel to its unpacked file, which does not exist
    if the member is missing. ``project`` is its normalised name, ``tag`` the start of its tags ("cp312-cp312").
    ``core`` maps each library whose kernels TensorFlow runs to its unpacked file, whoever made it. ``beside`` is the
    official wheel whose libraries its own ones are loaded beside; without it their symbols cannot be checked.
    """

    wheel: WheelReader
    target: Target
    rules: RepairRules
    project: str
    tag: str
    own: Mapping[str, Path]
    core: Mapping[str, Path] = field(default_factory=dict)
    official: OpenedOfficial | None = None
    beside: WheelReader | None = None

    @property
    def name(self) -> str:
        """Its file name."""
        return self.wheel.path.name

    @cached_property
    def files(self) -> frozenset[str]:
        """Its members without folders, which hold nothing."""
        return _files(self.wheel)

    @property
    def expected(self) -> frozenset[str]:
        """The members it must have, and no others."""
        return frozenset(self.own) | (self.official.kept.keys() if self.official else frozenset())

    @cached_property
    def libraries(self) -> dict[str, Path]:
        """Its own ELF files, by member name."""
        return {name: path for name, path in self.own.items() if path.is_file() and _magic(path) == ELF_MAGIC}

    @property
    def promised(self) -> dict[str, tuple[str, ...]]:
        """The GPU code that the plan promises, by kind."""
        found = gpu_support.promised(self.target, self.official.locked if self.official else None)
        if self.rules.ops.without_gpu_code:
            found.pop(gpu_support.OPS, None)
        return found

    def arch_rule(self, name: str) -> str | None:
        """Return what ops.toml promises of the GPU code of a library; None if it says nothing."""
        return self.rules.ops.archs.get(self.rules.ops.file_of(name))

    @cached_property
    def code(self) -> dict[str, LibraryCode]:
        """The GPU code of its own and of the core libraries, by member name; each file is read once."""
        return {name: code_inventory.read(path) for name, path in sorted({**self.core, **self.libraries}.items())}

    @cached_property
    def gpu_code(self) -> dict[str, tuple[str, ...]]:
        """The GPU code that was found in the wheel by kind (``gpu_support.KINDS``); a kind it lacks is left out.

        Other libraries of TensorFlow that the line retargets have copies of kernels, which nothing promises.
        """
        theirs = self.official.locked.archs if self.official else {}
        core = [code.by_kind for name, code in self.code.items() if name in self.core]
        ops = [code.by_kind for name, code in self.code.items() if name not in self.core and name not in theirs]
        return code_inventory.merged(core) | code_inventory.merged(
            {gpu_support.OPS: images} for kinds in ops for images in kinds.values()
        )

    def is_official(self, name: str) -> bool:
        """Return whether a member has size, CRC, method and compressed size of its official counterpart."""
        if self.official is None or name not in self.official.kept or name not in self.files:
            return False
        ours, theirs = self.wheel.member(name), self.official.wheel.member(self.official.kept[name])
        return all(
            getattr(ours, fact) == getattr(theirs, fact) for fact in ("size", "crc", "method", "compressed_size")
        )

    def has_official_bytes(self, name: str) -> bool:
        """Return whether a member has the compressed bytes and the RECORD row of its official counterpart."""
        if self.official is None or not self.is_official(name):
            return False
        there = self.official.kept[name]
        if self.wheel.record.get(name) != self.official.wheel.record.get(there):
            return False
        return all(
            ours == theirs
            for ours, theirs in zip(_raw(self.wheel, name), _raw(self.official.wheel, there), strict=True)
        )


@contextmanager
def opened(
    merged: MergedFiles, *, base: Path, locked: Base, target: Target, rules: RepairRules
) -> Iterator[OpenedWheel]:
    """Open a merged wheel beside its base; raise BadWheelError if one of the two is not a sound wheel."""
    with ExitStack() as stack:
        wheel = stack.enter_context(WheelReader(merged.wheel))
        official = stack.enter_context(WheelReader(base))
        own = {*merged.added, *merged.replaced, *(f"{wheel.dist_info}/{name}" for name in NEW_IN_EVERY_WHEEL)}
        new_names = {
            name.replace(f"{official.dist_info}/", f"{wheel.dist_info}/", 1)
            if name.startswith(f"{official.dist_info}/")
            else name: name
            for name in _files(official) - set(merged.removed)
        }
        core = set(locked.core).intersection(wheel.names())
        unpacked = _unpacked(wheel, own | core, stack)
        yield OpenedWheel(
            wheel=wheel,
            target=target,
            rules=rules,
            project=PROJECT,
            tag=f"{target.python_tag}-{target.python_tag}",
            own={name: unpacked[name] for name in own},
            core={name: unpacked[name] for name in core},
            official=OpenedOfficial(
                wheel=official, locked=locked, kept={new: old for new, old in new_names.items() if new not in own}
            ),
            beside=official,
        )


@contextmanager
def opened_ops(path: Path, *, target: Target, rules: RepairRules, beside: Path | None = None) -> Iterator[OpenedWheel]:
    """Open an ops wheel, with the official wheel ``beside`` it to have its symbols checked.

    ``own`` are its package and its metadata, and it may hold nothing else.
    """
    with ExitStack() as stack:
        wheel = stack.enter_context(WheelReader(path))
        folders = [*rules.ops.packages, wheel.dist_info, *([GRAFTED] if rules.ops.grafts else [])]
        own = {name for name in _files(wheel) if name.partition("/")[0] in folders}
        yield OpenedWheel(
            wheel=wheel,
            target=target,
            rules=rules,
            project=OPS_PROJECT,
            tag="py3-none",
            own=_unpacked(wheel, own, stack),
            beside=stack.enter_context(WheelReader(beside)) if beside else None,
        )


def _files(wheel: WheelReader) -> frozenset[str]:
    return frozenset(name for name in wheel.names() if not name.endswith("/"))


def _unpacked(wheel: WheelReader, names: Collection[str], stack: ExitStack) -> dict[str, Path]:
    """Unpack members until the stack closes; return their paths. A name that is not in the wheel has no file.

    Uses all cores, the largest members first: two libraries are nearly all of the wheel. Of several bad members the
    error names the first in that order.
    """
    folder = stack.enter_context(scratch.folder("gates"))
    paths = {name: folder / str(number) for number, name in enumerate(sorted(names))}
    order = sorted(_files(wheel).intersection(paths), key=lambda name: (-wheel.member(name).size, name))
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(wheel.extract, order, [paths[name] for name in order]):
            pass
    return paths


def _raw(wheel: WheelReader, name: str) -> Iterator[bytes]:
    start = wheel.extent(name).data
    return wheel.raw(start, start + wheel.member(name).compressed_size)


def _magic(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(len(ELF_MAGIC))
