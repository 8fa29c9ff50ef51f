"""Unit tests run in this process alone: no other program, no network."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make starting a program or using a socket an error that names the rule."""

    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("a unit test starts no program and uses no socket: move it to tests/integration")

    for owner, name in [
        (subprocess, "Popen"),
        (os, "system"),
        (os, "posix_spawn"),
        (os, "posix_spawnp"),
        (os, "fork"),
        (socket.socket, "connect"),
        (socket.socket, "connect_ex"),
        (socket.socket, "bind"),
    ]:
        monkeypatch.setattr(owner, name, refuse)
