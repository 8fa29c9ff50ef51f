"""Find the user's cache folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from tfwheel.system.errors import NoCacheFolderError

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "XDG_CACHE_HOME"


def folder() -> Path:
    """Return ``$XDG_CACHE_HOME/tfwheel``, or ``~/.cache/tfwheel``; it need not exist.

    Raises NoCacheFolderError when that is no absolute path: each program would have another cache.
    """
    try:
        found = user_cache_path("tfwheel")
    except RuntimeError as error:
        message = f"there is no place for the cache: {error}"
        raise NoCacheFolderError(message) from error
    if not found.is_absolute():
        why = f"{VARIABLE} is a relative path" if os.environ.get(VARIABLE) else "this user has no home folder"
        message = f"there is no place for the cache: {why} ({found})"
        raise NoCacheFolderError(message)
    return found
