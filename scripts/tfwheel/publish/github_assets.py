"""Store for wheels as assets of a GitHub release: uploads them to a draft and compares the host's digests."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

import msgspec

from tfwheel.index.errors import NameTakenError
from tfwheel.publish import github_api
from tfwheel.publish.errors import AssetRenamedError, HostAnswerError, ReleaseExistsError, StoreError
from tfwheel.publish.github_repository import UNFINISHED, Repository
from tfwheel.system import console

if TYPE_CHECKING:
    from tfwheel.publish.github_api import AssetData, ReleaseData

TRIES = 3  # per upload: a failed one leaves an unfinished asset, which is deleted before the next


@dataclass(frozen=True, kw_only=True)
class GithubStore:
    """The assets of one release, a draft or published; see Store."""

    repository: Repository
    release: ReleaseData

    def url(self, name: str) -> str:
        """See Store; the URL that the file has once the release is published."""
        tag = quote(self.release.tag_name, safe="")
        return f"{self.repository.web}/{self.repository.api.repo}/releases/download/{tag}/{quote(name, safe='')}"

    def assets(self) -> dict[str, AssetData]:
        """Return the current assets of the release, by name."""
        # Assets of a draft may have been deleted since it was fetched.
        release = msgspec.structs.replace(self.release, assets=[]) if self.release.draft else self.release
        return {asset.name: asset for asset in self.repository.api.assets(release)}

    def check(self) -> None:
        """See Store; the host says it when a file is sent."""

    def holds(self, name: str, *, sha256: str) -> bool:
        """See Store; compares the digest that the host computed."""
        asset = self.assets().get(name)
        if asset is None or asset.state == UNFINISHED:
            return False
        if asset.digest != f"sha256:{sha256}":
            message = f"release {self.release.tag_name}: {name} is there with {asset.digest}; it cannot become {sha256}"
            raise NameTakenError(message)
        return True

    def put(self, name: str, source: IO[bytes], *, sha256: str) -> None:
        """See Store; AssetRenamedError when the host stores it under another name or with other bytes.

        The unfinished asset of a broken upload is deleted, and the file is sent again.
        """
        for attempt in range(1, TRIES + 1):
            if self._is_ready(name, sha256):
                return
            try:
                kept = self.repository.upload(self.release, name, source)
            except HostAnswerError as error:
                if attempt == TRIES:
                    message = f"{name} could not be uploaded: {error.message}"
                    raise StoreError(message, remedy="Run again later: finished uploads are kept.") from error
                pause = github_api.PAUSE_S * 2**attempt
                console.say(f"  {error.message}; trying again in {pause:.0f} s")
                time.sleep(pause)
                source.seek(0)
            else:
                self._check(name, kept, size=source.seek(0, os.SEEK_END), sha256=sha256)
                return

    def _is_ready(self, name: str, sha256: str) -> bool:
        """Return whether the release has the complete file; if not, delete an unfinished asset of that name."""
        if self.holds(name, sha256=sha256):
            return True
        if not self.release.draft:
            message = f"release {self.release.tag_name} is published and lacks {name}"
            raise ReleaseExistsError(message)
        left = self.assets().get(name)
        if left:
            console.say(f"  an earlier upload of {name} broke off; sending it again")
            self.repository.delete(left)
        return False

    def _check(self, name: str, kept: AssetData, *, size: int, sha256: str) -> None:
        """Compare the stored asset with the uploaded file; a wrong asset is deleted from the draft."""
        wrong = [
            f"{what} is {there!r} instead of {given!r}"
            for what, there, given in [
                ("its name", kept.name, name),
                ("its size", kept.size, size),
                ("its digest", kept.digest or f"sha256:{sha256}", f"sha256:{sha256}"),
            ]
            if there != given
        ]
        if wrong:
            self.repository.delete(kept)
            message = f"{name}: the host did not store it unchanged: {', '.join(wrong)}"
            raise AssetRenamedError(message)
