"""A container engine that works here, for the tests that start containers."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tfwheel.config.paths import ROOT
from tfwheel.system import containers
from tfwheel.system.errors import ContainerEngineError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def working(name: str | None = None) -> Iterator[str]:
    """Yield one, by default the first, or skip the test; podman is told of a place that allows little."""
    with pytest.MonkeyPatch.context() as patch:
        if "CONTAINERS_CONF" not in os.environ:
            patch.setenv("CONTAINERS_CONF", str(ROOT / "tests" / "container" / "containers.conf"))
        try:
            engine = containers.find_engine(name)
        except ContainerEngineError as error:
            pytest.skip(str(error))
        yield engine
