"""The libraries that those of a wheel are loaded with: its own, TensorFlow's, and what the system and CUDA bring."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tfwheel.checks import platform_tags
from tfwheel.gpu import dynamic_symbols, elf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditwheel.policy import Policy  # type: ignore[import-untyped]

    from tfwheel.checks.opened_wheel import OpenedWheel
    from tfwheel.gpu.dynamic_symbols import Definition, Interface, Reference
    from tfwheel.wheel.reader import WheelReader

LOADER = "ld-linux-x86-64.so.2"  # each x86-64 system with glibc has it; auditwheel's policies leave it out
TENSORFLOW = ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")  # what an op may link
SYSTEM_FOLDERS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64")
PYTHON = re.compile(r"_?Py[A-Z_]")  # names of the interpreter (its C API reference, "Coding standards")
# Libraries of the driver and of CUDA whose symbols have no versions, and how their names begin.
WITHOUT_VERSIONS = {"libcuda.so.1": "cu", "libnccl.so.2": "nccl", "libnvidia-ml.so.1": "nvml"}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a library links, and what that links: where its loader looks for a symbol.

    ``held`` are the files of those in the two wheels by name, itself among them; ``system`` the names of those that
    manylinux has, ``excluded`` of those that repair.toml excludes, ``unknown`` of what it links beyond all of these.
    """

    held: Mapping[str, Path]
    system: frozenset[str]
    excluded: frozenset[str]
    unknown: tuple[str, ...]


@dataclass(kw_only=True)
class Libraries:
    """The libraries that those of a wheel are loaded with.

    Those of the ``official`` wheel are unpacked into ``folder`` when they are needed; an op seldom links the largest.
    """

    opened_wheel: OpenedWheel
    official: WheelReader
    folder: Path
    _defined: dict[Path, dict[str, list[Definition]]] = field(default_factory=dict)

    @cached_property
    def own(self) -> dict[str, tuple[Path, Interface]]:
        """The libraries that the official wheel lacks, by member name; gpu_gates.py checks those it has, retargeted."""
        there = set(self.official.names())
        paths = {name: path for name, path in sorted(self.opened_wheel.libraries.items()) if name not in there}
        read = {name: (path, dynamic_symbols.interface(path)) for name, path in paths.items()}
        return {name: (path, found) for name, (path, found) in read.items() if found}

    def scope(self, path: Path, found: Interface) -> Scope:
        """Return where the loader looks for the symbols of a library."""
        held, system, excluded = {found.soname or path.name: path}, set(), set()
        waiting, unknown = list(found.needed), []
        while waiting:
            name = waiting.pop(0)
            if name in held:
                continue
            if there := self.held(name):
                held[name] = there
                with there.open("rb") as stream:
                    waiting += elf.dynamic(stream).needed
            elif name in self.policy.whitelist or name == LOADER:
                system.add(name)
            elif any(fnmatch(name, pattern) for pattern in self.opened_wheel.rules.exclude):
                excluded.add(name)
            elif name in found.needed:
                unknown.append(name)
        return Scope(held=held, system=frozenset(system), excluded=frozenset(excluded), unknown=tuple(unknown))

    def has(self, asked: Reference, scope: Scope) -> bool:
        """Return whether the loader finds a symbol in a scope, by the rules at the top of symbol_gate.py."""
        if asked.library and asked.library not in scope.held:
            return asked.library in scope.excluded or (asked.library in scope.system and self._is_old(asked.version))
        if any(_fits(one, asked) for path in scope.held.values() for one in self.defined(path).get(asked.name, ())):
            return True
        return not asked.version and (
            PYTHON.match(asked.name) is not None
            or any(asked.name.startswith(WITHOUT_VERSIONS.get(name, "\0")) for name in scope.excluded)
            or any(self.has_here(name, asked.name) for name in scope.system | scope.excluded)
        )

    def has_here(self, library: str, name: str) -> bool:
        """Return whether a library of this machine has a symbol, and had it when the wheel's platform was new."""
        path = here(library)
        found = self.defined(path).get(name, ()) if path else ()
        return any(one.default and self._is_old(one.version) for one in found)

    def held(self, name: str) -> Path | None:
        """Return the file of a library of this or of the official wheel."""
        if name in self._own_by_name:
            return self._own_by_name[name]
        member = self._official_by_name.get(name)
        if member is None:
            return None
        unpacked = {**self.opened_wheel.own, **self.opened_wheel.core}.get(member)
        path = unpacked or self.folder / name
        if not path.exists():
            self.official.extract(member, path)
        return path

    def defined(self, path: Path) -> dict[str, list[Definition]]:
        """Return those symbols of a library that some library of the wheel asks for."""
        if path not in self._defined:
            found: dict[str, list[Definition]] = {}
            for one in dynamic_symbols.definitions(path):
                if one.name in self._wanted:
                    found.setdefault(one.name.decode(errors="replace"), []).append(one)
            self._defined[path] = found
        return self._defined[path]

    @cached_property
    def policy(self) -> Policy:
        """What each system has that the wheel is for."""
        return platform_tags.claimed(self.opened_wheel)

    @cached_property
    def linkable(self) -> list[str]:
        """The names of what a library of the wheel may link: its own ones, TensorFlow's, the system's."""
        return [*self._own_by_name, *TENSORFLOW, *sorted(self.policy.whitelist), LOADER]

    @cached_property
    def _wanted(self) -> frozenset[bytes]:
        return frozenset(one.name.encode() for _, found in self.own.values() for one in found.references)

    @cached_property
    def _own_by_name(self) -> dict[str, Path]:
        names = {PurePosixPath(name).name: path for name, (path, _) in self.own.items()}
        return names | {found.soname: path for path, found in self.own.values() if found.soname}

    @cached_property
    def _official_by_name(self) -> dict[str, str]:
        return {PurePosixPath(name).name: name for name in sorted(self.official.names(), reverse=True)}

    def _is_old(self, version: str | None) -> bool:
        """Return whether the wheel's platform has a version; what is no version of glibc or gcc has no age."""
        family, _, number = (version or "").partition("_")
        return number in self.policy.symbol_versions.get(family, (number,))


def here(library: str) -> Path | None:
    """Return the file of a system library on this machine."""
    paths = (Path(folder, library) for folder in SYSTEM_FOLDERS)
    return next((path for path in paths if path.is_file()), None)


def _fits(found: Definition, asked: Reference) -> bool:
    """Return whether a definition is the one that is asked for: without a version the default one, or one without."""
    if asked.version is None or found.version is None:
        return found.default
    return found.version == asked.version
