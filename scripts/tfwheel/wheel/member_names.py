"""Check the names of a wheel's members: each program and file system must take them for the same files."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

FOREIGN = re.compile(r"^[A-Za-z]:|[\\;]")  # drive letters, backslashes, and `;1`, which unzip takes for a VMS version
INSTALLED_BESIDE = re.compile(r"^[^/]+\.data/(?:purelib|platlib)/")  # PEP 427: installed as if this were not there
LONGEST_NAME = 1024  # bytes: longer ones make unzip cut them, and fill memory; the longest of TensorFlow has 175
LONGEST_PART = 255  # bytes: the most that Linux lets a file name have (NAME_MAX); unzip cuts longer ones


def check(names: list[str]) -> None:
    """Raise ValueError for a name that leads out of the folder, or that a program could read as another one.

    Names that some file system or installer holds for the same are the same here: whatever their case (macOS, Windows),
    their composition of accents (macOS), and with or without the folder that an installer leaves out.
    """
    files: dict[str, str] = {}
    for name in names:
        path = name.removesuffix("/")
        parts = path.split("/")
        if not {"", ".", ".."}.isdisjoint(parts) or FOREIGN.search(name) or not name.isprintable():
            message = f"{name[:LONGEST_NAME]!r} is not a name inside the folder it is unpacked to"
            raise ValueError(message)
        if len(name.encode()) > LONGEST_PART and _is_too_long(name, parts):
            message = f"the name {name[:LONGEST_PART]!r}... is longer than programs take"
            raise ValueError(message)
        same = _folded(path if name.endswith("/") else INSTALLED_BESIDE.sub("", path))
        if same in files:
            message = f"`{name}` is listed twice, the first time as `{files[same]}`"
            raise ValueError(message)
        files[same] = name
    # NUL is in no name and comes before every character, so what is in a folder follows it at once.
    order = sorted(files, key=lambda path: path.replace("/", "\0"))
    for before, after in pairwise(order):
        if after.startswith(f"{before}/") and not files[before].endswith("/"):
            message = f"`{files[before]}` is a file and a folder at once"
            raise ValueError(message)


def _is_too_long(name: str, parts: list[str]) -> bool:
    """Return whether a name, or a part of it, is longer than programs take."""
    return len(name.encode()) > LONGEST_NAME or max(len(part.encode()) for part in parts) > LONGEST_PART


def _folded(path: str) -> str:
    """Return what a path has in common with those that some file system holds for the same (Unicode 3.13, D145)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
