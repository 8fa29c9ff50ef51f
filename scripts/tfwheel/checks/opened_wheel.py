"""A finished wheel opened for the gates, beside the official wheel it was made from.

What the two share is compared as it stands in the files, still compressed; only the members that are the wheel's own
are unpacked, to disk. So memory use does not grow with the wheel.
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfwheel.config.targets import Base, RepairRules, Target

PROJECT = "tensorflow"
OPS_PROJECT = "tfwheel-ops"
OPS_PACKAGE = "tfwheel_ops/"
NEW_IN_EVERY_WHEEL = ("METADATA", "RECORD", "WHEEL")
ELF_MAGIC = b"\x7fELF"


class MergedFiles(Protocol):
    """A merged wheel and the member names declared with it: added to its base, replaced in it, left out of it.

    Added and replaced ones are named as in the new wheel, removed ones as in the base.
    """

    @property
    def wheel(self) -> Path:
        """Where it is."""

    @property
    def added(self) -> Collection[str]:
        """Members that the base does not have."""

    @property
    def replaced(self) -> Collection[str]:
        """Members that the base has with other bytes."""

    @property
    def removed(self) -> Collection[str]:
        """Members of the base that were left out."""


@dataclass(frozen=True, kw_only=True)
class OpenedOfficial:
    """The official wheel, opened, and what is locked about it.

    ``kept`` maps the name of each member that must be the official one, byte for byte, to its name there.
    """

    wheel: WheelReader
    locked: Base
    kept: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class OpenedWheel:
    """A wheel before the gates.

    ``own`` are the members that it does not share with an official wheel: their names, and where those that are
    there lie unpacked. ``project`` is its normalised name, ``tag`` the start of its tags ("cp312-cp312").
    """

    wheel: WheelReader
    target: Target
    rules: RepairRules
    project: str
    tag: str
    own: Mapping[str, Path]
    official: OpenedOfficial | None = None

    @property
    def name(self) -> str:
        """Its file name."""
        return self.wheel.path.name

    @cached_property
    def files(self) -> frozenset[str]:
        """Its members, folders left out: they hold nothing."""
        return _files(self.wheel)

    @property
    def expected(self) -> frozenset[str]:
        """The members it must have, and no others."""
        return frozenset(self.own) | (self.official.kept.keys() if self.official else frozenset())

    @cached_property
    def libraries(self) -> dict[str, Path]:
        """Its own ELF files, by member name."""
        return {name: path for name, path in self.own.items() if path.is_file() and _magic(path) == ELF_MAGIC}

    def is_official(self, name: str) -> bool:
        """Whether a member has size and CRC of the official one that it must be."""
        if self.official is None or name not in self.official.kept or name not in self.files:
            return False
        ours, theirs = self.wheel.member(name), self.official.wheel.member(self.official.kept[name])
        return all(
            getattr(ours, fact) == getattr(theirs, fact) for fact in ("size", "crc", "method", "compressed_size")
        )

    def has_official_bytes(self, name: str) -> bool:
        """Whether a member's compressed bytes, and its row in RECORD, are those of the official one."""
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
    """Open a merged wheel beside its base; BadWheelError when one of the two is not a sound wheel."""
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
        yield OpenedWheel(
            wheel=wheel,
            target=target,
            rules=rules,
            project=PROJECT,
            tag=f"{target.python_tag}-{target.python_tag}",
            own=_unpacked(wheel, own, stack),
            official=OpenedOfficial(
                wheel=official, locked=locked, kept={new: old for new, old in new_names.items() if new not in own}
            ),
        )


@contextmanager
def opened_ops(path: Path, *, target: Target, rules: RepairRules) -> Iterator[OpenedWheel]:
    """Open an ops wheel: its package and its metadata are its own, and nothing else may be there."""
    with ExitStack() as stack:
        wheel = stack.enter_context(WheelReader(path))
        own = {name for name in _files(wheel) if name.startswith((OPS_PACKAGE, f"{wheel.dist_info}/"))}
        yield OpenedWheel(
            wheel=wheel,
            target=target,
            rules=rules,
            project=OPS_PROJECT,
            tag="py3-none",
            own=_unpacked(wheel, own, stack),
        )


def _files(wheel: WheelReader) -> frozenset[str]:
    return frozenset(name for name in wheel.names() if not name.endswith("/"))


def _unpacked(wheel: WheelReader, names: Collection[str], stack: ExitStack) -> dict[str, Path]:
    """Where each name lies unpacked, until the stack closes; a name that is not in the wheel has no file there.

    All cores work, on the largest first: two libraries are nearly all of it. Of several bad members the error names
    the first in that order.
    """
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfwheel-gates-")))
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
