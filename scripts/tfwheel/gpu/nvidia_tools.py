"""Fetch single programs and libraries of NVIDIA from their packages on PyPI, once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from filelock import FileLock

from tfwheel.gpu.errors import ToolchainError
from tfwheel.system import console, digests, pip, sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def fetch(packages: Sequence[str], files: Mapping[str, str], *, cache: Path, remedy: str) -> Path:
    """Return a folder with these files of pinned packages; only the first call downloads them.

    ``files`` maps a file name to its folder below ``nvidia/<part>/`` in the package ("bin", "lib"). Raises
    DownloadError, and ToolchainError with ``remedy`` if no package has a file.
    """
    key = digests.of_facts(packages=packages, files=files, code=sources.digest(__name__))
    folder = cache / "toolchains" / f"{next(iter(files))}-{key[:16]}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                _unpack(packages, files, folder, remedy=remedy)
    return folder


def _unpack(packages: Sequence[str], files: Mapping[str, str], folder: Path, *, remedy: str) -> None:
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    parts, kept = unfinished / "parts", unfinished / "kept"
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a killed run: the lock proves that it has ended
    kept.mkdir(parents=True)
    try:
        with console.step(f"fetch {' and '.join(packages)} (once)"):
            pip.install_parts(packages, parts)
        for name, place in files.items():
            found = next(parts.glob(f"nvidia/*/{place}/{name}"), None)
            if found is None:
                message = f"{' and '.join(packages)}: no {place}/{name} in there"
                raise ToolchainError(message, remedy=remedy)
            found.chmod(0o755)
            found.rename(kept / name)
        kept.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
