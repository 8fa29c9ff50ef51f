"""Write files: atomically, so that nobody ever reads half a file, or faster, in a folder that nobody reads yet."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

from tfwheel.system.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no space left while writing {path}"
            raise DiskFullError(message) from error
        raise


def why_unwritable(folder: Path) -> str | None:
    """Return why no file can be made in a folder, which need not exist; None if it can. Writes nothing."""
    places = (folder.absolute(), *folder.absolute().parents)
    there = next(path for path in places if path.exists() or path.is_symlink())
    if not there.is_dir():
        return f"{there} is not a folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there} is write-protected"


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the bytes of a file atomically, as ``writing`` does."""
    with writing(path) as stream:
        stream.write(data)
