"""Fetches the locked official wheel that a target starts from, and checks it on each use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.system import console, kept_folders, scratch
from tfwheel.system.errors import HashMismatchError
from tfwheel.system.pip import check, download_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.targets import Base


BUILD_AGAIN = "The damaged file is removed: build it from source again, `nox -s build-source` goes on from its caches."


def cached_path(base: Base, cache: Path) -> Path:
    """Return the path of an official wheel in the cache; it need not exist."""
    return cache / "bases" / base.sha256 / base.file


def fetch(base: Base, cache: Path) -> Path:
    """Return the locked official wheel, from the cache or downloaded; size and sha256 are checked each time.

    Raises HashMismatchError when the bytes are not the locked ones, and DownloadError, NoOfficialWheelError
    or DiskFullError when the download fails. A wrong file is never kept.
    """
    kept = cached_path(base, cache)
    if kept_folders.use(kept.parent, cache=cache, kept=lambda _: kept.is_file()):
        try:
            check(kept, sha256=base.sha256, size=base.size)
        except HashMismatchError as error:
            kept.unlink()
            if base.source:  # no index has it
                raise HashMismatchError(error.message, remedy=BUILD_AGAIN) from error
            console.warn(f"{error.message}; fetching it again")
        else:
            return kept
    with scratch.folder("download", where=scratch.within(cache)) as folder:
        wheel = download_wheel(
            project=base.project,
            version=base.version,
            python=base.python,
            dest=folder,
            sha256=base.sha256,
            size=base.size,
        )
        check(wheel, sha256=base.sha256, size=base.size)
        kept.parent.mkdir(parents=True, exist_ok=True)
        wheel.replace(kept)
    return kept
