"""What is made once for all tests of a run, whichever of pytest-xdist's workers they are on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def root(factory: pytest.TempPathFactory) -> Path:
    """A folder of this run that all its workers see."""
    base = factory.getbasetemp()
    found = (base.parent if base.name.startswith("popen-gw") else base) / "shared"
    found.mkdir(exist_ok=True)
    return found


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first who asks for it fills; the others wait. Read only: nobody has it for himself."""
    folder = root(factory) / name
    done = folder.with_name(f"{name}.done")
    with FileLock(folder.with_name(f"{name}.lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed half-way
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
