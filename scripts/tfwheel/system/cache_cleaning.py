"""List what is in the cache, and remove what was not used for some days and no running program uses."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from tfwheel.system import console, scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

DAY_S = 86_400
LARGE = 10_000_000  # bytes: smaller things are counted, not listed
# By folder of the cache: what is in there, and how deep below it the things are that are kept or removed as one.
KINDS = {
    "bases": ("official wheels", 1),
    "gpu-code": ("compiled GPU code", 2),
    "imitations": ("imitations of Colab's runtimes", 1),
    "libraries": ("retargeted libraries", 1),
    "npm": ("packages for tests in a browser", 1),
    "ops-sources": ("sources of custom-op projects", 1),
    "releases": ("answers of GitHub", 1),
    "sdks": ("TensorFlow headers", 1),
    "source-bases": ("what TensorFlow from source is", 1),
    "source-trees": ("trees of TensorFlow", 1),
    "toolchains": ("NVIDIA's programs and parts of CUDA", 1),
}


@dataclass(frozen=True, kw_only=True)
class CachedThing:
    """A file or folder in the cache: its kind, its bytes on disk, and when it was last used (seconds since 1970)."""

    path: Path
    kind: str
    size: int
    used: float


def things(cache: Path) -> list[CachedThing]:
    """Return all that is in a cache, the largest first."""
    found = [
        CachedThing(path=path, kind=kind, size=sum(size for size, _ in facts), used=max(used for _, used in facts))
        for kind, (_, depth) in KINDS.items()
        for path in cache.glob(f"{kind}{'/*' * depth}")
        if not path.is_symlink() and (facts := list(_facts(path)))
    ]
    return sorted(found, key=lambda thing: (-thing.size, str(thing.path)))


def clean(cache: Path, *, days: int | None) -> None:
    """Print what is in a cache; with ``days``, remove what was not used for so long.

    Keeps what a running program may use: all that was used since the oldest of them entered the cache. Raises OSError
    where the cache cannot be changed.
    """
    try:
        cache.stat()
    except FileNotFoundError:
        console.say(f"{cache}: there is nothing")
        return
    where = scratch.within(cache)
    scratch.sweep(where)
    if days is None:
        _show(cache, things(cache))
        console.say("nothing was removed: `-- --days N` removes what was not used for N days")
        return
    with scratch.folder("removed", where=where) as bin_:
        with scratch.exclusively(where):  # nobody begins to use anything meanwhile
            since, now = scratch.living_since(where), time.time()
            found = things(cache)
            old = [thing for thing in found if now - thing.used >= days * DAY_S]
            gone = [thing for thing in old if since is None or thing.used < since]
            for number, thing in enumerate(gone):
                thing.path.rename(bin_ / str(number))
        _show(cache, found, gone)
    kept = [thing for thing in found if thing not in gone]
    in_use = f", {len(old) - len(gone)} of them for running programs" if len(old) > len(gone) else ""
    console.say(f"removed what was not used for {days} days: {_counted(gone)}; kept {_counted(kept)}{in_use}")


def _show(cache: Path, found: Sequence[CachedThing], gone: Sequence[CachedThing] = ()) -> None:
    """Print a row for each kind, and one for each large thing in it."""
    removed = {thing.path for thing in gone}
    table = Table("", "size", "number", "last used", "removed")
    for kind, (what, _) in KINDS.items():
        mine = [thing for thing in found if thing.kind == kind]
        if mine:
            count = f"{sum(thing.path in removed for thing in mine):,}"
            table.add_row(f"{kind}: {what}", console.size(_total(mine)), f"{len(mine):,}", _last(mine), count)
        for thing in mine:
            if thing.size >= LARGE:
                word = "yes" if thing.path in removed else "no"
                table.add_row(f"  {_name(thing)}", console.size(thing.size), "", _last([thing]), word)
    console.show(table)
    console.say(f"{cache}: {console.size(_total(found))}")


def _name(thing: CachedThing) -> str:
    """Return what people call a thing: an official wheel is alone in a folder that is named after its hash."""
    wheel = next(thing.path.glob("*.whl"), None)
    return wheel.name if wheel else thing.path.name


def _counted(found: Sequence[CachedThing]) -> str:
    """Return how many things there are, and their size."""
    noun = "file or folder" if len(found) == 1 else "files and folders"
    return f"{len(found):,} {noun} ({console.size(_total(found))})" if found else "nothing"


def _total(found: Iterable[CachedThing]) -> int:
    return sum(thing.size for thing in found)


def _last(found: Iterable[CachedThing]) -> str:
    days = int((time.time() - max(thing.used for thing in found)) // DAY_S)
    return f"{days} days ago" if days > 1 else "yesterday" if days else "today"


def _facts(path: Path) -> Iterator[tuple[int, float]]:
    """Yield bytes on disk and time of a file, or of a folder and all below it."""
    try:
        facts = path.lstat()
        yield facts.st_blocks * scratch.BLOCK, facts.st_mtime
        if path.is_dir() and not path.is_symlink():
            for entry in os.scandir(path):
                yield from _facts(path / entry.name)
    except FileNotFoundError:
        return  # another program removed it meanwhile
