"""Where published wheels and their sidecars are kept: a name there means the same bytes for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol
from urllib.parse import quote

from filelock import FileLock

from tfwheel.errors import UsageError
from tfwheel.index.errors import NameTakenError
from tfwheel.publish.errors import StoreError, WheelChangedError
from tfwheel.system.files import sha256_of, writing

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 1 << 20


class Store(Protocol):
    """What publishing needs of a place for wheels; every call may be made again after a kill."""

    def url(self, name: str) -> str:
        """The lasting address of a file, percent-encoded; empty where files stand beside their pages."""
        ...

    def holds(self, name: str, *, sha256: str) -> bool:
        """Whether the file is there whole; NameTakenError when the name stands for other bytes."""
        ...

    def put(self, name: str, source: IO[bytes], *, sha256: str) -> None:
        """Keep a file under a name, unless it is there already; it appears whole or not at all.

        Raises NameTakenError when the name stands for other bytes, WheelChangedError when the source does not have
        that sha256, and StoreError when the place does not take the file or does not give it back as it was.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class FolderStore:
    """A folder that some web server shows at ``address`` (ending with a slash)."""

    folder: Path
    address: str

    def url(self, name: str) -> str:
        """See Store; UsageError while nobody has said where the folder is served."""
        if not self.address:
            message = f"{name} cannot be listed: where {self.folder} is served is not known"
            raise UsageError(message, remedy="Add `--store FOLDER --store-url URL`.")
        return f"{self.address}{quote(name)}"

    def holds(self, name: str, *, sha256: str) -> bool:
        """See Store; the file is read."""
        path = self.folder / name
        if not path.is_file():
            return False
        found = sha256_of(path)
        if found != sha256:
            message = f"{path} is published with sha256 {found}; it cannot become {sha256}"
            raise NameTakenError(message)
        return True

    def put(self, name: str, source: IO[bytes], *, sha256: str) -> None:
        """See Store; one file at a time, whoever asks, so that what a killed run left can be told and removed."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock"):
                if not self.holds(name, sha256=sha256):
                    self._write(name, source, sha256)
        except OSError as error:
            message = f"{self.folder / name} cannot be written: {error.strerror or error}"
            raise StoreError(message) from error

    def _write(self, name: str, source: IO[bytes], sha256: str) -> None:
        for left in self.folder.glob(".*.whl*"):
            left.unlink()
        path, digest = self.folder / name, hashlib.sha256()
        with writing(path) as stream:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                stream.write(chunk)
            if digest.hexdigest() != sha256:
                message = f"{name} changed while it was published: sha256 {digest.hexdigest()} instead of {sha256}"
                raise WheelChangedError(message, remedy="Build and smoke-test it again; nothing was published of it.")
        if sha256_of(path) != sha256:
            path.unlink()
            message = f"{path} does not give back what was written to it"
            raise StoreError(message)
