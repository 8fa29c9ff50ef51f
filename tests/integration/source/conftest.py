"""A real Bazel in a container, for the tests of builds from source."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import bazelworld
from tfwheel.source import order
from tfwheel.source.bazel import BazelBuild
from tfwheel.system import containers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.system.containers import ContainerHost


@pytest.fixture(scope="session")
def place() -> Iterator[ContainerHost]:
    with bazelworld.image() as found:
        yield found


@pytest.fixture
def volumes(place: ContainerHost, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """How the names of the volumes of one test begin; none is left, and no container."""
    name = f"tfwheel-test-{os.getpid()}-{abs(hash(request.node.name)) % 10**8}"
    monkeypatch.setattr(order, "VOLUMES", name)
    yield name
    containers.remove_volumes(place.engine, bazelworld.volumes(place.engine, name))
    left = containers.ask([place.engine, "ps", "--all", "--format", "{{.Labels}}"])
    assert name not in left


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return bazelworld.make_tree(tmp_path / "tree")


@pytest.fixture
def build(volumes: str, tree: Path) -> BazelBuild:
    targets = ["//tensorflow/tools/pip_package:wheel"]
    return BazelBuild(name=volumes, tree=tree, targets=targets, options=bazelworld.OPTIONS, jobs=2)
