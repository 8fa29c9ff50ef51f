"""Fixtures that every kind of test may use."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import fakewheels

if TYPE_CHECKING:
    from pathlib import Path


# A shell that runs the tests in the background has them ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long one example takes says more about the machine than about the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that accepts what a test found as what it must find from now on."""
    parser.addoption("--update-golden", action="store_true", help="write tests/data/matrix/ and index/docs/errors.md")


@pytest.fixture(scope="session")
def fake_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small "official" TensorFlow 2.20.0 for cp312 with real libraries. Read only."""
    return fakewheels.fake_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def fake_ops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ops wheel with a real library, not yet repaired. Read only."""
    return fakewheels.fake_ops(tmp_path_factory.mktemp("ops"))
