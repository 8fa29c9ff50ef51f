"""Saves the currently published index, checked against its manifest, so that a bad successor can be rolled back."""

from __future__ import annotations

import hashlib
import shutil
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from tfwheel.errors import UsageError
from tfwheel.index import manifest
from tfwheel.index.errors import ManifestError
from tfwheel.publish import addresses
from tfwheel.system import console, files, scratch, web
from tfwheel.system.errors import DownloadError

if TYPE_CHECKING:
    from pathlib import Path

OK = 200


def save(address: str, folder: Path) -> int:
    """Copy the index at the URL ``address`` (its root, ending with a slash) into a new folder; returns its file count.

    If there is no index, or one that does not match its manifest, returns 0 and makes no folder. That is a warning and
    not an error, since the next index does not depend on the copy; an older copy in ``folder`` stays. Raises
    UsageError, before anything is fetched, for an ``address`` that is none, and if ``folder`` cannot be written or
    holds something else than an older copy.
    """
    addresses.check_folder(address, option="--base-url")
    if folder.exists() and not (folder.is_dir() and ((folder / manifest.NAME).is_file() or not any(folder.iterdir()))):
        message = f"{folder} is there, and is no copy of an index: it has no {manifest.NAME}"
        raise UsageError(message, remedy="Name a new folder: the one that is named is replaced.")
    if reason := files.why_unwritable(folder.parent):
        message = f"{folder} cannot be written: {reason}"
        raise UsageError(message, remedy="Name a folder that you can write.")
    with scratch.beside(folder) as unfinished:
        copy = unfinished / "copy"
        try:
            count = _copy(address, copy)
        except (DownloadError, ManifestError) as error:
            older = f"; the older copy in {folder} stays" if folder.exists() and any(folder.iterdir()) else ""
            console.warn(f"no copy to roll back to: {error.message}{older}")
            return 0
        shutil.rmtree(folder, ignore_errors=True)
        copy.rename(folder)
    return count


def _copy(address: str, folder: Path) -> int:
    """Fetch the manifest and all files that it lists, and check them against it; returns their number."""
    where = f"{address}{manifest.NAME}"
    listed = _get(where)
    for name, facts in manifest.read(listed, where=where).items():
        url, path = f"{address}{quote(name)}", folder / name
        body = _get(url)
        if hashlib.sha256(body).hexdigest() != facts["sha256"] or not path.resolve().is_relative_to(folder.resolve()):
            message = f"{url} does not match the manifest"
            raise ManifestError(message)
        files.write_atomically(path, body)
    files.write_atomically(folder / manifest.NAME, listed)
    return manifest.check(folder)


def _get(url: str) -> bytes:
    """Fetch a file past all caches; DownloadError unless the status is 200."""
    headers = {"Accept-Encoding": "identity", "Cache-Control": "no-cache"}
    answer = web.ask(f"{url}?fresh={time.time_ns()}", headers=headers, only=OK)
    if answer.status != OK:
        message = f"{url} answers with status {answer.status}"
        raise DownloadError(message)
    return answer.body
