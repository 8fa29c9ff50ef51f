"""Write a file so that a reader, a failure or a kill sees the old one or the new one, never a half."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

from tfwheel.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def writing(path: Path, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A stream whose bytes become ``path``, with these permissions, when the block ends well.

    Until then they are in a hidden file beside it, the stream's ``name``; after a failure that is gone and ``path``
    is as it was. Missing parent folders are made. Raises DiskFullError when the device or the user's quota is full.
    """
    try:
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
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no space left while writing {path}"
            raise DiskFullError(message) from error
        raise
