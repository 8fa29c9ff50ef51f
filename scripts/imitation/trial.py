"""Judges what an installation of a finished wheel changed in an imitated runtime: nothing but TensorFlow may change."""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imitation import runtime as runtimes
from imitation import state
from imitation.state import Place
from tfwheel.index import local_index
from tfwheel.system import console
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from imitation.runtime import Imitation
    from imitation.state import State
    from tfwheel.index.ledger_entry import LedgerEntry

# What requires TensorFlow in Colab's runtimes, and what shares protobuf with it; a snapshot may lack some.
DEPENDENTS = (
    "tensorflow",
    "tensorflow-text",
    "tf-keras",
    "tensorflow-probability",
    "tensorflow-datasets",
    "tensorflow-hub",
    "ydf-tf",
    "tensorflow-metadata",
    "grpcio-status",
    "google-ai-generativelanguage",
    "google-generativeai",
    "keras-hub",
    "tf-slim",
)
OF_NOTEBOOKS = ("ipykernel", "matplotlib")
ROOTS = (*DEPENDENTS, *OF_NOTEBOOKS, "setuptools", "wheel")
PROJECT = "tensorflow"
OPS = "tfwheel-ops"  # the check, not the distribution: the ops are inside TensorFlow's wheel
QUICK = (PROJECT, "tensorflow-text")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that was compared: in which environment, what, whether it is as it must be, and what was seen."""

    where: str
    what: str
    holds: bool
    seen: str


@dataclass(kw_only=True)
class Trial:
    """A wheel under test, served at ``address``, in one imitated runtime; ``log`` receives what the installers print.

    ``changes`` is what the wheel may change: nothing but TensorFlow. ``seconds`` has the time of each installation.
    """

    original: Imitation
    cache: Path
    entry: LedgerEntry
    address: str
    constraints: str
    log: Path
    findings: list[Finding] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    works: dict[str, dict[str, tuple[bool, str]]] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The documented command."""
        return local_index.install_command(self.entry, self.address)

    def run(self, environments: dict[str, Callable[[Trial, str], None]]) -> None:
        """Try the wheel in each of the environments, by name."""
        for name, attempt in environments.items():
            with console.step(name):
                try:
                    attempt(self, name)
                except CommandError as error:
                    self.judge(name, "every command succeeds", holds=False, seen=error.message.splitlines()[0])

    def judge(self, where: str, what: str, *, holds: bool, seen: str) -> None:
        """Add a finding, and print it where it does not hold."""
        self.findings.append(Finding(where=where, what=what, holds=holds, seen=seen))
        if not holds:
            console.warn(f"{where}: {what}: {seen}")

    @contextmanager
    def base(self) -> Iterator[Place]:
        """Yield a copy of the runtime's base environment, deleted after the block."""
        with runtimes.copied(self.original, self.cache) as copy:
            pip = (copy.python, "-I", "-m", "pip")
            yield Place(folder=copy.folder, python=copy.python, site=copy.site, variables=copy.variables(), pip=pip)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Store the seconds that the block takes."""
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 1)

    def observe(self, place: Place, *, probes: tuple[str, ...] = ()) -> State:
        """Look at an environment; only packages of the snapshot are checked, and the ops."""
        always = (OPS,) if OPS in probes else ()
        return state.observed(place, project=PROJECT, probes=[name for name in probes if name != OPS], always=always)

    def enter(self, place: Place, line: str) -> None:
        """Type a command there."""
        place.run(*shlex.split(line), log=self.log)

    def compare(self, where: str, before: State, after: State, *, version: str) -> None:
        """Judge that only TensorFlow changed, and to this version; that faults are the same, and what worked works."""
        wanted = {**before.packages, PROJECT: version}
        seen = ", ".join(_changes(before.packages, after.packages)) or "nothing changed"
        self.judge(where, f"only tensorflow changed, to {version}", holds=after.packages == wanted, seen=seen)
        new = sorted(after.faults - before.faults)
        gone = sorted(before.faults - after.faults)
        seen = f"new: {new}, gone: {gone}" if new or gone else f"the same {len(after.faults)} faults"
        self.judge(where, "pip check says the same", holds=not (new or gone), seen=seen)
        touched = _different(before.files, after.files)
        others = before.files.keys() - before.owned
        foreign = sorted(touched - before.owned - (after.owned - others))
        seen = ", ".join(foreign[:3]) or f"{len(touched)} files changed, all TensorFlow's"
        self.judge(where, "no file of another package changed", holds=not foreign, seen=seen)
        for name, (worked, said) in before.works.items():
            if name in after.works:
                works, says = after.works[name]
                seen = f"{says}" if says == said else f"before: {said}; after: {says}"
                self.judge(where, f"{name} behaves as before", holds=(works, says) == (worked, said), seen=seen)

    def check_ops(self, where: str, after: State) -> None:
        """Judge that the custom ops compute, in the TensorFlow that has this version for its label."""
        works, said = after.works[OPS]
        self.judge(where, "the custom ops work", holds=works and said.startswith(self.entry.version), seen=said)

    def compare_files(self, where: str, what: str, before: Mapping[str, int], after: Mapping[str, int]) -> None:
        """Judge that two sets of files are the same."""
        other = sorted(_different(before, after))
        self.judge(where, what, holds=not other, seen=", ".join(other[:3]) or f"{len(after)} files are the same")


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Say what became of each package that is not as before."""
    names = sorted(_different(before, after))
    return [f"{name} {before.get(name, 'absent')} -> {after.get(name, 'absent')}" for name in names]


def _different(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """Return the keys that only one of them has, or with another value."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
