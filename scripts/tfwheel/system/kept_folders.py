"""Keep things in the cache: a folder is made once and is whole or absent; each use is noted for `clean-cache`."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tfwheel.system import locks, scratch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WHOLE = ".whole.json"  # written last: the size of each file in the folder, by path


def is_whole(folder: Path) -> bool:
    """Return whether a folder has all files that it had when it was finished, of their sizes."""
    try:
        sizes = json.loads((folder / WHOLE).read_bytes())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def keep(
    folder: Path,
    make: Callable[[Path], object],
    *,
    cache: Path,
    busy: str,
    kept: Callable[[Path], bool] = is_whole,
) -> Path:
    """Return a folder of the cache; if it is absent or not whole, ``make`` fills an empty one that becomes it.

    ``kept`` tells whether it is whole. Others that need it meanwhile wait, and say ``busy``. A killed or failed call
    changes nothing. Raises what ``make`` raises, and TargetBusyError.
    """
    if use(folder, cache=cache, kept=kept):
        return folder
    with locks.exclusive(cache / "locks" / f"{folder.parent.name}-{folder.name}.lock", busy=busy):
        if not use(folder, cache=cache, kept=kept):
            with scratch.folder(folder.parent.name, where=scratch.within(cache)) as unfinished:
                new = unfinished / "new"
                new.mkdir()
                make(new)
                put(new, folder, away=unfinished / "old")
    return folder


def put(new: Path, folder: Path, *, away: Path) -> None:
    """Let a finished folder take the place of ``folder``; what is there goes ``away``, on the same disk."""
    sizes = {str(path.relative_to(new)): path.stat().st_size for path in sorted(new.rglob("*")) if path.is_file()}
    (new / WHOLE).write_text(json.dumps(sizes), encoding="utf-8")
    # After a power cut the renamed folder must not hold empty files. One sync for all files: one by one, 16,000 of them
    # take ten seconds.
    os.sync()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        folder.rename(away)
    new.rename(folder)


def use(path: Path, *, cache: Path, kept: Callable[[Path], bool]) -> bool:
    """Return whether something in the cache is whole, and note its use: nothing removes it while this process lives.

    ``kept`` tells whether it is whole. A file notes its use by its time, a folder by that of WHOLE, or its own.
    """
    where = scratch.within(cache)
    scratch.home_in(where)  # the sign that this process lives
    if not os.path.lexists(path):
        return False
    note = path / WHOLE
    with scratch.exclusively(where), suppress(OSError):
        os.utime(note if note.is_file() else path)
    return kept(path)
