"""The images of a folder of Dockerfiles, made by a real engine on a small base."""

from __future__ import annotations

import os
import re
import runpy
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import smallimage
from tfwheel.build import container_images
from tfwheel.config import build_images
from tfwheel.config.paths import ROOT
from tfwheel.errors import UsageError
from tfwheel.system import containers
from tfwheel.system.errors import CommandError, ContainerImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = f"localhost/tfwheel-small-test-{os.getpid()}"
DOCKERFILE = "FROM {}\nRUN {}\n"


@pytest.fixture
def folder(engine: str, tmp_path: Path) -> Iterator[Path]:
    """Two Dockerfiles; the first cannot be built. No image of them is left."""
    made = tmp_path / "containers"
    made.mkdir()
    smallimage.make(tmp_path / "base", engine, BASE)
    (made / "good.Dockerfile").write_text(DOCKERFILE.format(BASE, f"mkdir /{tmp_path.name}"))
    (made / "bad.Dockerfile").write_text(DOCKERFILE.format(BASE, f"cat /no/{tmp_path.name}"))
    yield made
    for image in (*(one.image for one in build_images.named(folder=made)), BASE):
        with suppress(CommandError):  # it was never made
            containers.ask([engine, "rmi", "--force", image])


def test_images_are_made_once_and_described(folder: Path, engine: str) -> None:
    (first,) = container_images.make(["good"], engine=engine, folder=folder)
    (image,) = build_images.named(["good"], folder=folder)
    assert re.fullmatch(rf"good: {re.escape(image.image)}, \d+ MB, made in \d+ s", first)
    assert containers.size_of_image(engine, image.image) > 1_000_000
    (again,) = container_images.make(["good"], engine=engine, folder=folder)
    assert again == first.partition(", made in")[0] + ", there already"


def test_one_that_cannot_be_made_is_an_error_after_those_that_can(folder: Path, engine: str) -> None:
    made = container_images.make(engine=engine, folder=folder)
    assert [next(made).partition(": ")[0], next(made).partition(": ")[0]] == ["bad", "good"]
    with pytest.raises(ContainerImageError, match=r"cannot make the image `localhost/tfwheel-bad:\w+` of .*: .+"):
        next(made)


def test_the_door_knows_the_images_of_the_repository(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["build_images.py", "--engine", "podman", "no-such"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "scripts" / "build_images.py"), run_name="__main__")
    assert caught.value.code == UsageError.exit_code
    assert "there is no image `no-such` in" in capsys.readouterr().err
