"""Look for files and read them, also where nobody may: that is a fact of the machine too."""

from __future__ import annotations

import os
from pathlib import Path


def is_there(path: str | Path) -> bool:
    """Return whether a path is a regular file; False, too, where nobody may look, or no path is that long."""
    return os.path.isfile(path)  # noqa: PTH113 -- Path.is_file raises there


def found_in(folder: Path, pattern: str) -> list[Path]:
    """Return what matches a pattern in a folder, sorted; nothing where nobody may look."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def text_of(path: str) -> str:
    """Return the text of a file; nothing where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
