"""Writes the CMakeLists.txt of a custom-op project that is kernels alone: which sources make which library."""

from __future__ import annotations

import os
from itertools import count as count_from
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.build.errors import OpsSourceError
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.system import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfwheel.config.ops_projects import LibraryEntry, OpsProject

MODULES = CONFIG_DIR / "ops" / "cmake"  # how a library of ops is compiled and linked: OpLibrary.cmake and what it uses
SHOWN = 5  # sources in one message; the others are counted
SUFFIXES = (".cc", ".cpp", ".cxx", ".c", ".cu")  # of sources; `.cu.cc` is for GPUs, too
TEXT = """\
cmake_minimum_required(VERSION 3.26...4.0)
project(ops LANGUAGES C CXX)
set(OPS_ROOT {root})
list(APPEND CMAKE_MODULE_PATH {modules})
include(OpLibrary)
{libraries}
"""


def cmake_lists(project: OpsProject, tree: Path) -> str:
    """Return the text of a CMakeLists.txt that compiles and installs the libraries of a project.

    Says which sources beside those that are compiled no library uses. Raises OpsSourceError for sources that are none,
    and for words that CMake would read otherwise than they are written.
    """
    for folder in (tree, MODULES):
        _require_plain(str(folder), f"the path of a folder for the custom-op project `{project.name}`")
    sources = [_sources(project, tree, library) for library in project.library]
    _name_others({path for paths in sources for path in paths}, tree)
    calls = [_call(project, tree, number, paths) for number, paths in enumerate(sources)]
    return TEXT.format(root=_quoted(str(tree)), modules=_quoted(str(MODULES)), libraries="\n".join(calls))


def _call(project: OpsProject, tree: Path, number: int, sources: Iterable[Path]) -> str:
    file = project.library[number].file
    given = {  # by the keyword of add_op_library: the key of ops.toml, and its words
        "FILE": ("file", [file]),
        "SOURCES": ("sources", [str(path.relative_to(tree)) for path in sources]),
        "INCLUDES": ("include", [".", *project.include]),
        "DEFINITIONS": ("definitions", project.definitions),
        "LIBRARIES": ("link", project.link),
        "CXX_STANDARD": ("cxx_standard", [str(project.cxx_standard)]),
    }
    for key, words in given.values():
        for word in words:
            place = f"`{key}` of the custom-op project `{project.name}`"
            _require_plain(word, place)
            if word in given:
                message = f"{place} has a word that the factory's CMake modules have a meaning for: {word}"
                raise OpsSourceError(message, remedy=f"Write it otherwise, as in `{word}=1` for a macro.")
    for keyword in ("SOURCES", "INCLUDES"):
        key, words = given[keyword]
        given[keyword] = (key, [str(tree / word) for word in words])
    parts = [f"{keyword} {' '.join(map(_quoted, words))}" for keyword, (_, words) in given.items() if words]
    return f"add_op_library(ops{number} {' '.join(parts)})"


def _require_plain(word: str, place: str) -> None:
    """Raise OpsSourceError for a word that is another one, or several, once it is in one of CMake's lists."""
    faults = {
        "`;`, which separates words": ";" in word,
        "`$<`, which begins a generator expression": "$<" in word,
        "a square bracket without its partner, which joins words": word.count("[") != word.count("]"),
        "a backslash at its end, which joins words": word.endswith("\\"),
    }
    for fault, found in faults.items():
        if found:
            message = f"{place} has {fault} for CMake: {word}"
            raise OpsSourceError(message, remedy="Rename the file or folder, or split the words in ops.toml.")


def _sources(project: OpsProject, tree: Path, library: LibraryEntry) -> list[Path]:
    """Return the sources of a library; a folder stands for all sources in it."""
    found: set[Path] = set()
    for pattern in library.sources:
        where = tree / pattern
        named = _below(where) if where.is_dir() else tree.glob(pattern)
        sources = [path for path in named if path.is_file() and path.suffix in SUFFIXES]
        if not sources:
            message = f"the custom-op project `{project.name}` has no source `{pattern}`"
            raise OpsSourceError(message, remedy=f"Correct `sources`; a source is a file with {', '.join(SUFFIXES)}.")
        found.update(sources)
    return sorted(found)


def _below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, and below the folders that it links, each folder once."""
    seen: set[Path] = set()
    for top, folders, names in os.walk(folder, followlinks=True):
        place = Path(top).resolve()
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders.sort()
        yield from (Path(top, name) for name in names)


def _name_others(compiled: set[Path], tree: Path) -> None:
    """Say which sources in the folders of compiled ones are not compiled."""
    beside = {path for folder in {one.parent for one in compiled} for path in folder.iterdir()}
    others = sorted(path for path in beside - compiled if path.is_file() and path.suffix in SUFFIXES)
    if others:
        shown = ", ".join(str(path.relative_to(tree)) for path in others[:SHOWN])
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        console.say(f"  no library is compiled of {shown}{more}")


def _quoted(word: str) -> str:
    """Return a word as CMake reads it, whatever is in it (cmake-language(7), bracket argument)."""
    level = next(mark for mark in ("=" * count for count in count_from(0)) if f"]{mark}]" not in f"{word}]")
    return f"[{level}[{word}]{level}]"
