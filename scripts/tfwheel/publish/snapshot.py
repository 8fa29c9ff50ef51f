"""Keeps a copy of the index that is shown now, proven by its manifest, to show again if the next one turns out bad."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from tfwheel.index import manifest
from tfwheel.index.errors import ManifestError
from tfwheel.system import console, web
from tfwheel.system.errors import DownloadError
from tfwheel.system.files import write_atomically

OK = 200


def save(address: str, folder: Path) -> int:
    """Copy the index at ``address`` (its root, ending with a slash) into a new folder; returns how many files it has.

    All of it or nothing: 0, and no folder, where no index is shown, or one that is not what its manifest says; that is
    said, and is no failure, since the next index does not depend on it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        copy = Path(scratch) / "copy"
        try:
            count = _copy(address, copy)
        except (DownloadError, ManifestError) as error:
            console.warn(f"nothing to fall back on: {error.message}")
            return 0
        shutil.rmtree(folder, ignore_errors=True)
        copy.rename(folder)
    return count


def _copy(address: str, folder: Path) -> int:
    """Fetch the manifest and all that it names, then hold all of it against the manifest."""
    where = f"{address}{manifest.NAME}"
    listed = _get(where)
    for name, facts in manifest.read(listed, where=where).items():
        url, path = f"{address}{quote(name)}", folder / name
        body = _get(url)
        if hashlib.sha256(body).hexdigest() != facts["sha256"] or not path.resolve().is_relative_to(folder.resolve()):
            message = f"{url} is not what the manifest names"
            raise ManifestError(message)
        write_atomically(path, body)
    write_atomically(folder / manifest.NAME, listed)
    return manifest.check(folder)


def _get(url: str) -> bytes:
    """The file itself, not a copy that a cache kept; DownloadError unless it is there."""
    headers = {"Accept-Encoding": "identity", "Cache-Control": "no-cache"}
    answer = web.ask(f"{url}?fresh={time.time_ns()}", headers=headers, only=OK)
    if answer.status != OK:
        message = f"{url} answers with status {answer.status}"
        raise DownloadError(message)
    return answer.body
