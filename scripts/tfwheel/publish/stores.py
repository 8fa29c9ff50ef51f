"""Stores for published wheels and sidecars, in which a name means the same bytes for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol
from urllib.parse import quote

from filelock import FileLock

from tfwheel.errors import UsageError
from tfwheel.index.errors import NameTakenError
from tfwheel.publish import addresses
from tfwheel.publish.errors import StoreError, WheelChangedError
from tfwheel.system.files import sha256_of, why_unwritable, writing

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 1 << 20


class Store(Protocol):
    """Interface of a store for wheels; every call can be repeated after a kill."""

    def url(self, name: str) -> str:
        """Return the permanent URL of a file, percent-encoded; empty if files are next to their pages."""
        ...

    def check(self) -> None:
        """Raise StoreError if it is known now that the store takes no file; writes nothing."""
        ...

    def holds(self, name: str, *, sha256: str) -> bool:
        """Return whether the store has the complete file; NameTakenError when it has other bytes of that name."""
        ...

    def put(self, name: str, source: IO[bytes], *, sha256: str) -> None:
        """Store a file under a name, unless the store has it already; it appears complete or not at all.

        Raises NameTakenError when the store has other bytes of that name, WheelChangedError when the source does not
        have that sha256, and StoreError when the store rejects the file or does not return it unchanged.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class FolderStore:
    """A folder that a web server serves at the URL ``address`` (ending with a slash; empty if it is not known)."""

    folder: Path
    address: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError for an address that cannot be the URL of a folder; none is needed to render pages."""
        if self.address:
            addresses.check_folder(self.address, option="--store-url")

    def url(self, name: str) -> str:
        """See Store; UsageError if the URL of the folder is not known."""
        if not self.address:
            message = f"{name} cannot be listed: the URL of {self.folder} is not known"
            raise UsageError(message, remedy="Add `--store FOLDER --store-url URL`.")
        return f"{self.address}{quote(name)}"

    def check(self) -> None:
        """See Store."""
        if reason := why_unwritable(self.folder):
            message = f"{self.folder} cannot be written: {reason}"
            raise StoreError(message)

    def holds(self, name: str, *, sha256: str) -> bool:
        """See Store; the file is read."""
        path = self.folder / name
        if not path.is_file():
            return False
        found = sha256_of(path)
        if found != sha256:
            message = f"{path} is there with sha256 {found}; it cannot become {sha256}"
            remedy = f"{NameTakenError.default_remedy} If no ledger lists it, delete it and its sidecar, and run again."
            raise NameTakenError(message, remedy=remedy)
        return True

    def put(self, name: str, source: IO[bytes], *, sha256: str) -> None:
        """See Store; one file at a time across processes, so that leftovers of a killed run can be recognized."""
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
                raise WheelChangedError(message, remedy="Build and smoke-test it again; it was not published.")
        if sha256_of(path) != sha256:
            path.unlink()
            message = f"{path} did not return the bytes that were written to it, and was deleted"
            raise StoreError(
                message, remedy="Check the disk or the mount of the store, then run the same command again."
            )
