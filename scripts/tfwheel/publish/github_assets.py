"""Wheels as assets of a GitHub release: put into its draft, held against the digests that the host took itself."""

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

TRIES = 3  # of one upload: an upstream failure leaves an unfinished asset, which is deleted before the next


@dataclass(frozen=True, kw_only=True)
class GithubStore:
    """The assets of one release, a draft or published; see Store."""

    site: Repository
    release: ReleaseData

    def url(self, name: str) -> str:
        """See Store; the address that the file has once the release is published."""
        tag = quote(self.release.tag_name, safe="")
        return f"{self.site.web}/{self.site.host.repo}/releases/download/{tag}/{quote(name, safe='')}"

    def assets(self) -> dict[str, AssetData]:
        """What the release has now, by name."""
        # What a draft had when it was looked up may have been deleted since.
        release = msgspec.structs.replace(self.release, assets=[]) if self.release.draft else self.release
        return {asset.name: asset for asset in self.site.host.assets(release)}

    def holds(self, name: str, *, sha256: str) -> bool:
        """See Store; by the digest that the host took of what it keeps."""
        asset = self.assets().get(name)
        if asset is None or asset.state == UNFINISHED:
            return False
        if asset.digest != f"sha256:{sha256}":
            message = f"release {self.release.tag_name}: {name} is there with {asset.digest}; it cannot become {sha256}"
            raise NameTakenError(message)
        return True

    def put(self, name: str, source: IO[bytes], *, sha256: str) -> None:
        """See Store; AssetRenamedError when the host keeps it under another name or as other bytes.

        What an upload that broke off left behind is deleted, and the file is sent again.
        """
        for attempt in range(1, TRIES + 1):
            if self._is_ready(name, sha256):
                return
            try:
                kept = self.site.upload(self.release, name, source)
            except HostAnswerError as error:
                if attempt == TRIES:
                    message = f"{name} could not be uploaded: {error.message}"
                    raise StoreError(message, remedy="Run again later: what is uploaded already stays.") from error
                pause = github_api.PAUSE_S * 2**attempt
                console.say(f"  {error.message}; trying again in {pause:.0f} s")
                time.sleep(pause)
                source.seek(0)
            else:
                self._check(name, kept, size=source.seek(0, os.SEEK_END), sha256=sha256)
                return

    def _is_ready(self, name: str, sha256: str) -> bool:
        """Whether the file is there whole; clears the way for it where it is not."""
        if self.holds(name, sha256=sha256):
            return True
        if not self.release.draft:
            message = f"release {self.release.tag_name} is published and lacks {name}"
            raise ReleaseExistsError(message)
        left = self.assets().get(name)
        if left:
            console.say(f"  an upload of {name} broke off before; sending it again")
            self.site.delete(left)
        return False

    def _check(self, name: str, kept: AssetData, *, size: int, sha256: str) -> None:
        """Hold what the host says that it keeps against what it was given; a wrong one is taken out of the draft."""
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
            self.site.delete(kept)
            message = f"{name}: the host does not keep it as it was given: {', '.join(wrong)}"
            raise AssetRenamedError(message)
