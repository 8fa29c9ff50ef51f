"""Write files: atomically, so that nobody ever reads half a file, or faster, in a folder that nobody reads yet."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

from tfwheel.system import cache_root
from tfwheel.system.errors import DiskFullError, FileAccessError, NoCacheFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.errors import FactoryError

OUTPUT = "the output"  # what has no name is a stream that was there before this program
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(path: Path, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Yield a stream whose bytes replace ``path`` atomically, with these permissions, when the block succeeds.

    Until then they are in a hidden file beside it, the stream's ``name``. A failure deletes that file and leaves
    ``path`` unchanged. Creates missing parent folders. Raises DiskFullError when the device or the quota is full.
    """
    with _naming_a_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            try:
                yield stream
                stream.flush()
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise


@contextmanager
def creating(path: Path, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Yield a stream into a new file ``path`` with these permissions; an older file of that name is deleted first.

    For scratch files, and for a folder that is renamed when complete: faster than ``writing``, because it never calls
    fsync. A failure leaves no file; a kill can leave half of one. Creates missing parent folders. Raises DiskFullError
    as ``writing`` does.
    """
    with _naming_a_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # never write into a file that has another name too, or through a link
        try:
            with path.open("xb") as stream:
                os.fchmod(stream.fileno(), mode)
                yield stream
        except BaseException:
            path.unlink(missing_ok=True)
            raise


@contextmanager
def _naming_a_full_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise failure(error, path) from error
        raise


def why_unwritable(folder: Path) -> str | None:
    """Return why no file can be made in a folder, which need not exist; None if it can. Writes nothing."""
    places = (folder.absolute(), *folder.absolute().parents)
    there = next(path for path in places if path.exists() or path.is_symlink())
    if not there.is_dir():
        return f"{there} is not a folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there} is write-protected"


def failure(error: OSError, path: Path | str | None = None) -> FactoryError:
    """Return the error of the product for one of the system: DiskFullError or FileAccessError, naming the path.

    Below the cache, the remedy names the variable that moves it.
    """
    where = path or error.filename
    folder = cache_of(where) if where else None
    move = f", or set {cache_root.VARIABLE} to a folder elsewhere" if folder else ""
    remedy = None if where else "Send the output to a file or a program that takes it."
    if error.errno in FULL:
        remedy = f"Free some space for {folder}{move}, and run again." if folder else remedy
        return DiskFullError(f"no space left while writing {where or OUTPUT}", remedy=remedy)
    why = (error.strerror or str(error) or type(error).__name__).lower()
    second = f" (to {error.filename2})" if error.filename2 else ""
    remedy = f"Correct the permissions of {folder}{move}, and run again." if folder else remedy
    return FileAccessError(f"{where or OUTPUT}{second}: {why}", remedy=remedy)


def cache_of(path: Path | str) -> Path | None:
    """Return the user's cache folder if a path is that folder, in it, or on the way to it; else None."""
    try:
        folder, place = cache_root.folder(), Path(os.fsdecode(path)).absolute()
    except (NoCacheFolderError, OSError, TypeError):
        return None
    return folder if place.is_relative_to(folder) or place in (folder.parent, folder.parent.parent) else None


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the bytes of a file atomically, as ``writing`` does."""
    with writing(path) as stream:
        stream.write(data)
