"""Fetch single programs and libraries of NVIDIA from their packages on PyPI, once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tfwheel.gpu.errors import ToolchainError
from tfwheel.system import console, digests, kept_folders, pip, scratch, sources

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
    make = partial(_unpack, packages, files, where=scratch.within(cache), remedy=remedy)
    return kept_folders.keep(folder, make, cache=cache, busy=f"another run fetches {' and '.join(packages)}")


def _unpack(packages: Sequence[str], files: Mapping[str, str], folder: Path, *, where: Path, remedy: str) -> None:
    with scratch.folder("fetched", where=where) as fetched:
        parts = fetched / "parts"
        with console.step(f"fetch {' and '.join(packages)} (once)"):
            pip.install_parts(packages, parts)
        for name, place in files.items():
            found = next(parts.glob(f"nvidia/*/{place}/{name}"), None)
            if found is None:
                message = f"{' and '.join(packages)}: no {place}/{name} in there"
                raise ToolchainError(message, remedy=remedy)
            found.chmod(0o755)
            found.rename(folder / name)
