"""The container images of this repository: each is a Dockerfile in build_config/containers/ that copies no file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.config.paths import CONFIG_DIR
from tfwheel.errors import UsageError
from tfwheel.system import digests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER = CONFIG_DIR / "containers"
SUFFIX = ".Dockerfile"


@dataclass(frozen=True, kw_only=True)
class BuildImage:
    """An image, by its Dockerfile."""

    dockerfile: Path

    @property
    def name(self) -> str:
        """What it is for, such as ``source``."""
        return self.dockerfile.name.removesuffix(SUFFIX)

    @property
    def image(self) -> str:
        """What a container engine calls it; another Dockerfile is another image."""
        return f"localhost/tfwheel-{self.name}:{digests.of_tree(self.dockerfile)[:12]}"

    @property
    def base(self) -> str:
        """The image that it adds to."""
        found = re.search(r"^FROM (\S+)$", self.dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
        return found[1] if found else ""


def named(names: Sequence[str] = (), *, folder: Path = FOLDER) -> list[BuildImage]:
    """Return the images of these names, by default all; UsageError, with those that are, for another name."""
    known = {image.name: image for image in map(_image, sorted(folder.glob(f"*{SUFFIX}")))}
    if unknown := [name for name in names if name not in known]:
        message = f"there is no image `{unknown[0]}` in {folder}: it has {', '.join(known) or 'none'}"
        raise UsageError(message)
    return [known[name] for name in names or known]


def _image(dockerfile: Path) -> BuildImage:
    return BuildImage(dockerfile=dockerfile)
