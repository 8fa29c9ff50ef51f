"""Makes the container images of build_config/containers/, and says how large each is and how long it took."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tfwheel.config import build_images
from tfwheel.system import containers, scratch
from tfwheel.system.errors import ContainerImageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def make(names: Sequence[str] = (), *, engine: str | None = None, folder: Path = build_images.FOLDER) -> Iterator[str]:
    """Make the images of these names, by default all, and yield a line about each: its name, size and seconds.

    One that the engine has is not made again; after one that fails the others are made. ``engine`` is docker or
    podman, by default the first that works. Raises UsageError for an unknown name before any work, ContainerEngineError
    and, at the end, the first ContainerImageError.
    """
    images = build_images.named(names, folder=folder)
    engine = containers.find_engine(engine)
    failures: list[ContainerImageError] = []
    with scratch.folder("images") as work:
        for one in images:
            start = time.monotonic()
            try:
                made = containers.make_image(engine, one.image, one.dockerfile, work)
            except ContainerImageError as error:
                failures.append(error)
                yield f"{one.name}: {one.image}, failed"
                continue
            took = f"made in {time.monotonic() - start:.0f} s" if made else "there already"
            yield f"{one.name}: {one.image}, {containers.size_of_image(engine, one.image) / 1e6:,.0f} MB, {took}"
    for failure in failures:
        raise failure
