"""The images of build_config/containers/: their names, and what they add to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tfwheel.build import cibuildwheel
from tfwheel.config import build_images
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_every_base_is_pinned_by_digest() -> None:
    images = build_images.named()
    assert {"ops", "source"} <= {image.name for image in images}
    assert all(re.fullmatch(r"[\w./:-]+@sha256:[0-9a-f]{64}", image.base) for image in images)


def test_another_dockerfile_is_another_image(tmp_path: Path) -> None:
    (tmp_path / "some.Dockerfile").write_text("FROM a\n")
    (first,) = build_images.named(folder=tmp_path)
    before = first.image
    assert re.fullmatch(r"localhost/tfwheel-some:[0-9a-f]{12}", before)
    assert first.base == "a"
    first.dockerfile.write_text("FROM b\n")
    assert first.image != before


def test_images_are_named_in_any_number(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.Dockerfile").touch()
    assert [image.name for image in build_images.named(folder=tmp_path)] == ["a", "b"]
    assert [image.name for image in build_images.named(["b"], folder=tmp_path)] == ["b"]
    with pytest.raises(UsageError, match=r"no image `c` in .*: it has a, b"):
        build_images.named(["a", "c"], folder=tmp_path)


def test_the_image_of_the_ops_is_the_one_that_their_project_names_with_the_compiler_that_it_installs() -> None:
    (image,) = build_images.named(["ops"])
    assert image.base == cibuildwheel.default_image(CONFIG_DIR / "ops")
    program = (CONFIG_DIR / "ops" / "container" / "device-compiler").read_text()
    (command,) = re.findall(r"dnf install .*", program)
    text = image.dockerfile.read_text()
    assert f"RUN {command} " in text
    assert re.findall(r"-ge (\d+)", program) == re.findall(r"-ge (\d+)", text)
