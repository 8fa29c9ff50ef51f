"""A folder that changes atomically: readers see the old tree or the new one, even after a kill at any moment.

``site`` is a symbolic link to ``.site/<number>/tree`` beside it. A new tree is built under the next number, with hard
links for unchanged files, and then the link is replaced, which is atomic (rename(2)).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from tfwheel.index.errors import SiteError
from tfwheel.system.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator

Seal = Callable[[Mapping[str, Path]], Mapping[str, bytes]]
FULL = (errno.ENOSPC, errno.EDQUOT)
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some files of a tree that are made together.

    ``key`` is a digest of everything that decides their bytes: while it is unchanged, the files of the old tree are
    reused. ``make`` returns them by path below the root: bytes, or a file to hard-link (or copy if that is impossible).
    """

    key: str
    make: Callable[[], Mapping[str, bytes | Path]]


@dataclass(frozen=True, kw_only=True)
class TreeChange:
    """Result of an update: the names of the parts that were made, and the number of bytes written."""

    made: tuple[str, ...]
    written: int


def update(
    site: Path, parts: Mapping[str, Part], *, seal: Seal | None = None, keep_previous: bool = False
) -> TreeChange | None:
    """Make a tree consist of exactly the files of these parts; returns None, and changes nothing, if it already does.

    ``seal`` receives the finished files by path and returns files about them (a manifest); it depends on nothing else.
    ``keep_previous`` keeps the old tree for ``restore``. Safe to call from several processes at once.
    Raises SiteError when the folder cannot be written or was not made by this program, and DiskFullError.
    """
    with _writing(site) as home:
        old = _current(site)
        _sweep(home, old)
        change = _write(home, old, parts, seal=seal, previous=old.name if old and keep_previous else None)
        if change:
            _show(site)
            _sweep(home, _current(site))
        return change


def pending(site: Path, parts: Mapping[str, Part]) -> dict[str, Part]:
    """Return the parts that an update would make; writes nothing. SiteError if this program did not make the folder."""
    known = _reusable(_current(site), parts)
    return {name: part for name, part in parts.items() if name not in known}


def prepare(
    site: Path, parts: Mapping[str, Part], *, seal: Seal | None = None, trusted: bool = True
) -> TreeChange | None:
    """Write a new tree, and all that showing it and taking it back needs, but show nothing; like ``update`` otherwise.

    ``show`` and ``restore`` then need no space on the disk. Unless the current tree is ``trusted``, ``restore`` goes
    back to the one before it. A failure leaves nothing of the new tree. No other process may write the same site
    before ``show``.
    """
    with _writing(site) as home:
        old = _current(site)
        _sweep(home, old)
        previous: str | None = None
        if old:
            previous = old.name if trusted else _state(old)["previous"]
        change = _write(home, old, parts, seal=seal, previous=previous)
        if previous:
            _link(home, "back", previous)
        return change


def show(site: Path) -> None:
    """Show the tree that ``prepare`` wrote, with one rename; delete those that neither this nor ``restore`` needs."""
    with _writing(site) as home:
        _show(site)
        _sweep(home, _current(site))


def restore(site: Path) -> None:
    """Show the tree from before the last update; SiteError when it was not kept."""
    with _writing(site) as home:
        current = _current(site)
        previous = current and _state(current)["previous"]
        if not previous or not (home / previous).is_dir():
            message = f"the previous state of {site} was not kept"
            raise SiteError(message, remedy="Correct the cause and run the same command again.")
        back = home / "back"
        if not back.is_symlink() or back.readlink().parent.name != previous:
            _link(home, "back", previous)
        back.replace(site)


def hide(site: Path) -> None:
    """Show nothing, as before the first update."""
    with _writing(site):
        site.unlink(missing_ok=True)


def _write(
    home: Path, old: Path | None, parts: Mapping[str, Part], *, seal: Seal | None, previous: str | None
) -> TreeChange | None:
    """Write the tree of these parts under the next number, and a link to it; None if the old one is the same."""
    known = _reusable(old, parts)
    if old and known.keys() == parts.keys() == _state(old)["parts"].keys():
        return None
    new = home / str(int(old.name) + 1 if old else 1)
    try:
        written = _fill(new, parts, known, seal=seal, previous=previous)
        _link(home, "link", new.name)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return TreeChange(made=tuple(name for name in parts if name not in known), written=written)


def _fill(
    new: Path,
    parts: Mapping[str, Part],
    known: Mapping[str, Mapping[str, Path]],
    *,
    seal: Seal | None,
    previous: str | None,
) -> int:
    """Write all files of a tree and its state; returns the number of bytes written."""
    state: dict[str, Any] = {"parts": {}, "previous": previous}
    (new / "tree").mkdir(parents=True)
    written = sum(_make(name, part, new, known.get(name), state["parts"]) for name, part in parts.items())
    if seal:
        files = {name: new / "tree" / name for part in state["parts"].values() for name in part["files"]}
        written += sum(_put(data, new / "tree" / name) for name, data in seal(files).items())
    _put(json.dumps(state).encode(), new / "state.json")
    return written


def _make(name: str, part: Part, new: Path, known: Mapping[str, Path] | None, state: dict[str, Any]) -> int:
    """Write the files of one part, record them in the state, and return the number of bytes written."""
    files = part.make() if known is None else known
    if outside := [file for file in files if not _is_inside(file)]:
        message = f"{outside[0]!r} is no path below {new.parent}"
        raise SiteError(message, remedy="Report a bug: what is listed is checked before; nothing was written.")
    written = sum(_put(content, new / "tree" / file) for file, content in files.items())
    state[name] = {"key": part.key, "files": {file: (new / "tree" / file).stat().st_size for file in files}}
    return written


def _is_inside(file: str) -> bool:
    """Return whether a path stays below the root of the tree whatever it says."""
    return not file.startswith("/") and "\0" not in file and {"", ".", ".."}.isdisjoint(file.split("/"))


def _put(content: bytes | Path, path: Path) -> int:
    """Write or link one file of the new tree; an existing file is an error, because two parts claim it.

    What is linked is the file itself, also where ``content`` is a symbolic link: a tree holds no way out of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        with path.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        return len(content)
    try:
        path.hardlink_to(content.resolve())
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copy2(content, path)
    return 0


# --- folders and state -----------------------------------------------------------------------------------


@contextmanager
def _writing(site: Path) -> Iterator[Path]:
    """Lock and yield the folder of all trees; file system errors become SiteError or DiskFullError."""
    home = site.with_name(f".{site.name}")
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / "lock"):
            yield home
    except OSError as error:
        if error.errno in FULL:
            message = f"no space left while writing {site}"
            raise DiskFullError(message) from error
        message = f"{site} cannot be written: {error}"
        raise SiteError(message) from error


def _current(site: Path) -> Path | None:
    """Return the folder of the tree that readers see, None before the first update."""
    if not site.exists() and not site.is_symlink():
        return None
    place = site.with_name(f".{site.name}") / (site.readlink().parent.name if site.is_symlink() else "")
    if not (place / "state.json").is_file():
        message = f"{site} is not an index that this program made"
        raise SiteError(message, remedy="Move it away or delete it, and run again: the index is rebuilt.")
    return place


def _state(place: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((place / "state.json").read_bytes())
    return state


def _reusable(old: Path | None, parts: Mapping[str, Part]) -> dict[str, dict[str, Path]]:
    """Return the files of unchanged parts that are complete in the old tree."""
    found: dict[str, dict[str, Path]] = {}
    if old is None:
        return found
    for name, part in _state(old)["parts"].items():
        files = {file: old / "tree" / file for file in part["files"]}
        whole = all(path.is_file() and path.stat().st_size == part["files"][file] for file, path in files.items())
        if whole and name in parts and parts[name].key == part["key"]:
            found[name] = files
    return found


def _link(home: Path, name: str, number: str) -> None:
    """Make a link that can take the place of the site's: it shows the tree of that number."""
    link = home / name
    link.unlink(missing_ok=True)
    link.symlink_to(Path(home.name, number, "tree"))


def _show(site: Path) -> None:
    """Replace the link: the one step that readers notice."""
    (site.with_name(f".{site.name}") / "link").replace(site)


def _sweep(home: Path, current: Path | None) -> None:
    """Delete all trees except the current one and the previous one that it keeps."""
    kept = {current.name, _state(current)["previous"]} if current else set()
    for path in home.iterdir():
        if path.name.isdigit() and path.name not in kept:
            shutil.rmtree(path)
