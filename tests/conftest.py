"""Fixtures that every kind of test may use."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import fakewheels
import sharing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# A shell that runs the tests in the background has them ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long one example takes says more about the machine than about the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that accepts what a test found as what it must find from now on."""
    parser.addoption("--update-golden", action="store_true", help="write tests/data/matrix/ and index/docs/errors.md")


def pytest_configure(config: pytest.Config) -> None:
    """Measure the lines of the tests' own processes; their programs would pay a third of their time for few more."""
    starts_workers = not hasattr(config, "workerinput") and getattr(config.option, "numprocesses", None)
    if not starts_workers:  # these inherit it
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.fixture(scope="session", autouse=True)
def _quick_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have the programs that tests start keep compiled code, and pip leave compiling to them.

    Each test starts many, in environments that are thrown away, and most that is installed there is never imported.
    An environment may be without compiled code (uv leaves it out), on a machine where Python is told to write none.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(sharing.root(tmp_path_factory) / "compiled"))
        patch.setenv("PIP_NO_COMPILE", "0")  # as pip reads it, 0 turns `--no-compile` on
        yield


@pytest.fixture(scope="session")
def fake_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small "official" TensorFlow 2.20.0 for cp312 with real libraries. Read only."""
    return fakewheels.fake_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def fake_ops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ops wheel with a real library, not yet repaired. Read only."""
    return fakewheels.fake_ops(tmp_path_factory.mktemp("ops"))
