"""The Linux distribution of this machine, and its packages, which root on Debian or Ubuntu can have installed."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.system import console, locks
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILIES = ("debian", "fedora", "rhel", "suse", "arch")
APT_LOCK = Path("/run/tfwheel-apt.lock")  # apt waits for none of its locks; only root can write here
PATIENCE = ("-o", "DPkg::Lock::Timeout=600")  # seconds, for programs that do not know that lock


def family() -> str:
    """The family of this Linux, one of FAMILIES, or "" for others."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ""
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return next((name for name in names if name in FAMILIES), "")


def may_install() -> bool:
    """Whether packages can be installed without asking: root, on a Debian-like system, with apt."""
    return family() == "debian" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def refresh() -> None:
    """Fetch the lists of packages; CommandError where apt cannot."""
    _apt_get("update")


def install(*packages: str) -> None:
    """Install packages, and say so; CommandError where apt cannot."""
    them, were = ("package", "it was") if len(packages) == 1 else ("packages", "they were")
    names = " ".join(packages)
    with console.step(f"install the system {them} {names} with apt-get ({were} missing, and you are root)"):
        _apt_get("install", "-y", "--no-install-recommends", *packages)


def install_missing(needs: Mapping[str, Mapping[str, str]]) -> None:
    """Install what is missing of ``needs``: by purpose, the programs of that purpose and the package of each.

    Where that may not be done, or cannot, the command is said, and that is all: nothing here is indispensable.
    """
    updated = False
    for purpose, programs in needs.items():
        missing = list(dict.fromkeys(package for name, package in programs.items() if not shutil.which(name)))
        try:
            if missing and may_install():
                if not updated:
                    refresh()
                    updated = True
                install(*missing)
                missing = []
            why = ""
        except CommandError as error:
            why = f" ({error.message})"
        if missing:
            console.warn(f"not all is here for {purpose}{why}: run `{command(*missing)}`")


def command(*packages: str) -> str:
    """What a person types on Debian or Ubuntu to have these packages."""
    return f"sudo apt-get install {' '.join(packages)}"


def _apt_get(order: str, *words: str) -> None:
    with locks.exclusive(APT_LOCK, busy="another run installs system packages"):
        run(["apt-get", order, *PATIENCE, *words], env={"DEBIAN_FRONTEND": "noninteractive"})
