"""A container image with a Python, made from this distribution's packages: what tests have where none can be pulled."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import needs
from tfwheel.config.paths import ROOT
from tfwheel.system import containers
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOTSTRAP = ROOT / "tests" / "container" / "bootstrap-image"
IMAGE = f"localhost/tfwheel-test-{os.getpid()}"  # one for each process that runs tests


@contextmanager
def made(engine: str) -> Iterator[str]:
    """Make the image ``IMAGE``, and yield the tag of its Python, such as "cp311"; without root the test is skipped."""
    needs.programs("debootstrap")
    if os.geteuid() != 0:
        pytest.skip("only root can make an image from packages: run `sudo nox -s tests`")
    run([BOOTSTRAP, IMAGE, engine], env={"PYTHON": sys.executable})
    try:
        names = run([engine, "run", "--rm", IMAGE, "ls", "/opt/python"]).split()
        yield next(name.partition("-")[0] for name in names if not name.startswith("cp39-"))
    finally:
        containers.ask([engine, "rmi", "--force", IMAGE])
