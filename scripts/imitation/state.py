"""Reads what is in an environment and what works there: packages, what pip says of them, files, checks."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from tfwheel.system import scratch
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PROBES = Path(__file__).with_name("probes.py")
QUIET = ("--disable-pip-version-check", "--no-color")
LIST = """
import json
from importlib.metadata import distributions
print(json.dumps([(one.metadata["Name"], one.version) for one in distributions()]))
"""
# Files that an installer writes about itself, which say nothing of the package.
OF_INSTALLERS = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """An environment as its user has it: the folder, its Python, its packages, and the user's variables.

    ``pip`` are the words that start a pip which looks at it; an environment need not have one of its own.
    """

    folder: Path
    python: Path
    site: Path
    variables: Mapping[str, str]
    pip: tuple[str | Path, ...]

    def run(self, *words: str | Path, log: Path | None = None) -> str:
        """Run a program of this environment, found as its user's shell finds it; raise CommandError."""
        return run(words, cwd=self.folder, env=self.variables, log=log)


@dataclass(frozen=True, kw_only=True)
class State:
    """What an environment holds: versions by normalized name, lines of ``pip check``, sizes of files by path.

    ``works`` has the answer of each check by the name of its package: whether it worked, and what it said.
    """

    packages: Mapping[str, str]
    faults: frozenset[str]
    files: Mapping[str, int]
    owned: frozenset[str]
    works: Mapping[str, tuple[bool, str]] = field(default_factory=dict)


def observed(place: Place, *, project: str, probes: Collection[str] = (), always: Collection[str] = ()) -> State:
    """Look at an environment; ``owned`` are the files of ``project``.

    ``probes`` are the packages that are checked where they are installed, ``always`` those that are checked anyway.
    """
    there = packages(place)
    return State(
        packages=there,
        faults=_faults(place),
        files=files(place),
        owned=_owned(place, project),
        works=_works(place, [*(name for name in probes if name in there), *always]),
    )


def packages(place: Place) -> dict[str, str]:
    """Return the version of each distribution that a program there sees, by normalized name."""
    pairs = json.loads(place.run(place.python, "-I", "-c", LIST).splitlines()[-1])
    return {canonicalize_name(name): version for name, version in reversed(pairs)}


def _faults(place: Place) -> frozenset[str]:
    try:
        place.run(*place.pip, "check", *QUIET)
    except CommandError as error:
        return frozenset(error.output.splitlines())
    return frozenset()


def files(place: Place) -> dict[str, int]:
    """Return the size of each file by its path, without compiled code, which Python writes when it likes."""
    found, folder = {}, place.folder
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = Path(parent, name)
            if not (parent.endswith(".dist-info") and name in OF_INSTALLERS):
                size = (
                    0 if Path(parent) == folder / "bin" else path.lstat().st_size
                )  # each installer has its own scripts
                found[path.relative_to(folder).as_posix()] = size
    return found


def _owned(place: Place, project: str) -> frozenset[str]:
    """Return the files that the RECORD of a project lists, by their paths in the folder of the environment."""
    found = set()
    for record in place.site.glob("*.dist-info/RECORD"):
        if canonicalize_name(record.parent.name.partition("-")[0]) != project:
            continue
        for line in record.read_text(encoding="utf-8").splitlines():
            name = line.rsplit(",", 2)[0].strip('"')
            found.add(os.path.relpath(place.site / name, place.folder))
    return frozenset(found)


def _works(place: Place, probes: Collection[str]) -> dict[str, tuple[bool, str]]:
    """Check packages, each in a process of its own, as many at once as there are cores."""

    def ask(name: str) -> tuple[bool, str]:
        try:
            with scratch.folder("probe") as folder:
                said = run([place.python, "-I", PROBES, name], cwd=folder, env=place.variables)
            answer = json.loads(said.splitlines()[-1])
        except (CommandError, ValueError, IndexError) as error:  # it crashed
            return False, f"ends without an answer: {error}".splitlines()[0]
        return answer["works"], answer["said"]

    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        return dict(zip(probes, pool.map(ask, probes), strict=True))
