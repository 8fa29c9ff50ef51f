"""What an engine is told of a container."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from tfwheel.system import containers
from tfwheel.system.containers import ContainerOrder


@pytest.mark.parametrize(("engine", "option"), [("docker", "--gpus=all"), ("podman", "--device=nvidia.com/gpu=all")])
def test_all_gpus_are_handed_over_as_each_engine_knows_them(engine: str, option: str) -> None:
    assert option in containers._options(engine, ContainerOrder(owner="o", gpus=True))
    bare = containers._options(engine, ContainerOrder(owner="o"))
    assert not [word for word in bare if "gpu" in word or "network" in word]
    assert "--network=host" in containers._options(engine, ContainerOrder(owner="o", host_network=True))


def test_every_engine_is_told_in_its_own_words() -> None:
    assert set(containers.GPUS) == set(containers.ENGINES)


def test_what_is_shown_cannot_be_written() -> None:
    order = ContainerOrder(
        owner="o", mounts={PurePosixPath("/in"): Path("/a b")}, volumes={PurePosixPath("/v"): "name"}
    )
    mounts = [word for word in containers._options("podman", order) if word.startswith("--mount=")]
    assert mounts == [
        "--mount=type=bind,source=/a b,destination=/in,readonly",
        "--mount=type=volume,source=name,destination=/v",
    ]
