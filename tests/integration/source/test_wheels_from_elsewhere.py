"""A TensorFlow that was built elsewhere: what is taken for the base of a target, and what is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bazelworld
import fakewheels
from tfwheel.build import official_wheel, source_base
from tfwheel.build.errors import SourceWheelError
from tfwheel.build.source_build import SourceOptions
from tfwheel.config.targets import Base
from tfwheel.system.errors import HashMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A configuration whose tree is a folder, which is not asked for here."""
    (tmp_path / "tree").mkdir()
    return bazelworld.make_settings(tmp_path, 'path = "../tree"')


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tensorflow-2.99.1-{tag}-{tag}-linux_x86_64.whl", r"is not tensorflow 2\.99\.0 for cp3"),
        ("tensorflow_cpu-2.99.0-{tag}-{tag}-linux_x86_64.whl", r"is not tensorflow 2\.99\.0 for cp3"),
        ("tensorflow-2.99.0-cp39-cp39-linux_x86_64.whl", r"is not tensorflow 2\.99\.0 for cp3"),
        ("tensorflow-2.99.0-{tag}-{tag}-macosx_11_0_arm64.whl", r"is not tensorflow 2\.99\.0 for .* Linux on x86_64"),
        ("tensorflow-2.99.0-{tag}-{tag}-linux_aarch64.whl", r"is not tensorflow 2\.99\.0 for .* Linux on x86_64"),
        ("tensorflow.whl", "is no wheel"),
        ("tensorflow-2.99.0-{tag}-{tag}-linux_x86_64.whl", "is no zip file, or a part of one"),
    ],
)
def test_a_wheel_of_something_else_is_refused(paths: Paths, tmp_path: Path, name: str, words: str) -> None:
    wheel = tmp_path / name.format(tag=bazelworld.TAG)
    wheel.write_bytes(b"")
    with pytest.raises(SourceWheelError, match=words):
        source_base.require(bazelworld.target_of(paths), SourceOptions(wheel=wheel), paths)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Name: tensorflow": "Name: evil"}, "is that of evil 2.99.0"),
        ({"Version: 2.99.0": "Version: 2.98.0"}, "is that of tensorflow 2.98.0"),
        ({"numpy": "numpy @ https://example.org/x.whl"}, "requires a file by its address"),
    ],
)
def test_a_wheel_whose_metadata_is_not_that_of_its_name_is_refused(
    tmp_path: Path, paths: Paths, change: dict[str, str], words: str
) -> None:
    text = fakewheels.METADATA.format(name="tensorflow", version="2.99.0", extra="Requires-Dist: numpy\n")
    ((old, new),) = change.items()
    members = {
        fakewheels.FRAMEWORK: fakewheels.framework(tmp_path).read_bytes(),
        "tensorflow-2.99.0.dist-info/METADATA": text.replace(old, new).encode(),
    }
    tag = f"{bazelworld.TAG}-{bazelworld.TAG}-linux_x86_64"
    wheel = fakewheels.write_wheel(tmp_path, members, name="tensorflow", version="2.99.0", tag=tag)
    with pytest.raises(SourceWheelError, match=words):
        source_base.require(bazelworld.target_of(paths), SourceOptions(wheel=wheel), paths)
    assert not (paths.cache / "source-bases").exists()


def test_a_base_that_was_damaged_is_not_looked_for_on_an_index(paths: Paths) -> None:
    kept = official_wheel.cached_path(DAMAGED, paths.cache)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"other")
    with pytest.raises(HashMismatchError) as caught:
        official_wheel.fetch(DAMAGED, paths.cache)
    assert "nox -s build-source" in caught.value.remedy
    assert not kept.exists()


def test_a_wheel_without_a_library_is_refused(paths: Paths, tmp_path: Path) -> None:
    tag = f"{bazelworld.TAG}-{bazelworld.TAG}-linux_x86_64"
    wheel = fakewheels.write_wheel(
        tmp_path, {"tensorflow/__init__.py": b""}, name="tensorflow", version="2.99.0", tag=tag
    )
    with pytest.raises(source_base.repair.RepairError):
        source_base.require(bazelworld.target_of(paths), SourceOptions(wheel=wheel), paths)


DAMAGED = Base(
    project="tensorflow",
    version="2.99.0",
    python=bazelworld.PYTHON,
    file="tensorflow-2.99.0.whl",
    sha256="ab" * 32,
    size=5,
    platforms=(),
    requires_python="",
    requires_dist=(),
    source="git+https://example.org/t@c",
)
CUDA = """
[[toolkit]]
cuda = "13.0.2"
cudnn = "9.16.0"
nvshmem = "3.4.5"
compiler = "nvcc"
newest = "120"
source = "this test's own tree"
and_cuda = ["nvidia-cuda-runtime>=13.0.96,<14", "nvidia-cudnn-cu13>=9.16"]
"""


def test_the_extra_and_cuda_of_a_wheel_is_that_of_its_cuda(
    tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    era, lines = paths.settings / "eras/2.99.toml", paths.settings / "lines.toml"
    era.write_text(era.read_text() + CUDA)
    lines.write_text(lines.read_text() + 'cuda = "13.0.2"\narchs = ["75"]\n')
    monkeypatch.setattr(source_base.toolchain, "choose", lambda *_, **__: None)  # no nvcc is needed for this
    monkeypatch.setattr(source_base, "_require_gpu_code", lambda *_: None)  # nor GPU code
    extra = (
        "Provides-Extra: and-cuda\nRequires-Dist: numpy\nRequires-Dist: nvidia-cuda-runtime-cu12; extra == 'and-cuda'\n"
    )
    metadata = fakewheels.METADATA.format(name="tensorflow", version="2.99.0", extra=extra).encode()
    library = fakewheels.framework(tmp_path)
    wheel = fakewheels.write_wheel(
        tmp_path,
        {fakewheels.FRAMEWORK: library.read_bytes(), "tensorflow-2.99.0.dist-info/METADATA": metadata},
        name="tensorflow",
        version="2.99.0",
        tag=f"{bazelworld.TAG}-{bazelworld.TAG}-linux_x86_64",
    )
    source_base.require(bazelworld.target_of(paths), SourceOptions(wheel=wheel), paths)
    base = source_base.of(bazelworld.order_of(paths).target, paths)
    assert base.requires_dist == (
        "numpy",
        "nvidia-cuda-runtime>=13.0.96,<14; extra == 'and-cuda'",
        "nvidia-cudnn-cu13>=9.16; extra == 'and-cuda'",
    )
    assert base.runpaths[fakewheels.FRAMEWORK] == fakewheels.RUNPATH
