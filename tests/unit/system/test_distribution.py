"""Installing packages that are missing: where it may be done, what is said, and what happens when apt fails."""

from __future__ import annotations

import os
import platform
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from tfwheel.system import distribution, locks
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NEEDS = {"tests in a browser": {"chromium": "chromium", "chromedriver": "chromium-driver"}, "git": {"git": "git"}}


class Machine:
    """A Debian machine that has only apt-get; what was run, and what was told."""

    def __init__(self, patch: pytest.MonkeyPatch, lock: Path) -> None:
        self.ran: list[list[str]] = []
        self.told: list[str] = []
        self.programs = {"apt-get"}
        self.broken = ""
        patch.setattr(distribution, "run", self.run)
        patch.setattr(shutil, "which", lambda name: name if name in self.programs else None)
        patch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "ubuntu", "ID_LIKE": "debian"})
        patch.setattr(os, "geteuid", lambda: 0)
        patch.setattr(distribution, "APT_LOCK", lock)
        patch.setattr(distribution.console, "say", self.told.append)
        patch.setattr(distribution.console, "warn", self.told.append)

    def run(self, argv: Sequence[str], **_: object) -> str:
        """As ``processes.run``."""
        if self.broken in argv:
            message = "`apt-get` ended with exit code 100"
            raise CommandError(message)
        self.ran.append([word for word in argv if word not in distribution.PATIENCE])
        return ""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path / "lock")


def test_root_on_ubuntu_gets_what_is_missing_by_purpose_and_is_told(machine: Machine) -> None:
    distribution.install_missing(NEEDS)
    assert [words[1] for words in machine.ran] == ["update", "install", "install"]
    assert [words[4:] for words in machine.ran[1:]] == [["chromium", "chromium-driver"], ["git"]]
    assert any("the system packages chromium chromium-driver with apt-get (they were" in line for line in machine.told)
    assert any("the system package git with apt-get (it was" in line for line in machine.told)


def test_what_is_there_is_left_alone(machine: Machine) -> None:
    machine.programs |= {"chromium", "git"}
    distribution.install_missing(NEEDS)
    assert [words[4:] for words in machine.ran[1:]] == [["chromium-driver"]]
    machine.programs.add("chromedriver")
    machine.ran.clear()
    distribution.install_missing(NEEDS)
    assert not machine.ran


def test_elsewhere_the_command_is_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    distribution.install_missing(NEEDS)
    assert not machine.ran
    assert machine.told == [
        "not all is here for tests in a browser: run `sudo apt-get install chromium chromium-driver`",
        "not all is here for git: run `sudo apt-get install git`",
    ]


@pytest.mark.parametrize("broken", ["update", "chromium"])
def test_apt_that_fails_is_said_and_the_rest_goes_on(machine: Machine, broken: str) -> None:
    machine.broken = broken
    distribution.install_missing(NEEDS)
    assert any("`apt-get` ended with exit code 100" in line and "chromium-driver`" in line for line in machine.told)
    assert (["git"] in [words[4:] for words in machine.ran]) == (broken == "chromium")


def test_two_runs_that_install_wait_for_each_other(machine: Machine) -> None:
    with locks.exclusive(distribution.APT_LOCK, busy="the other run"):
        second = threading.Thread(target=distribution.install, args=["git"])
        second.start()
        while not any("another run installs system packages: waiting for it" in line for line in machine.told):
            second.join(0.01)
        assert not machine.ran
    second.join()
    assert [words[4:] for words in machine.ran] == [["git"]]
