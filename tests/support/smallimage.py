"""Makes a container image of a few programs of this machine and what they link: an import of 10 MB takes a second."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.system import containers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.system.containers import ContainerHost

PROGRAMS = ("sh", "cat", "ls", "sleep", "true", "mkdir")


def make(folder: Path, engine: str, name: str) -> str:
    """Make the image ``name`` from programs of this machine; return its name."""
    root = folder / "root"
    for program in PROGRAMS:
        path = shutil.which(program)
        assert path, program
        _copy(Path(path), root / "bin" / program)
        for library in _libraries(path):
            _copy(library, root / str(library).lstrip("/"))
    (root / "tmp").mkdir(parents=True)
    archive = folder / "root.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(root, arcname=".")
    subprocess.run(
        [engine, "import", "--change", 'ENV PATH="/bin"', str(archive), name], check=True, capture_output=True
    )
    return name


@contextmanager
def placed(folder: Path, engine: str, name: str) -> Iterator[ContainerHost]:
    """An engine that has the image, which is removed at the end."""
    make(folder, engine, name)
    try:
        yield containers.find_place(engine, name)
    finally:
        containers.ask([engine, "rmi", "--force", name])


def _libraries(program: str) -> list[Path]:
    said = subprocess.run([str(shutil.which("ldd")), program], check=False, capture_output=True, text=True).stdout
    return [Path(word) for word in said.split() if word.startswith("/")]


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source.resolve(), to)
