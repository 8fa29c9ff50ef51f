"""What tests skip for on a machine that lacks it, said with the command that brings it."""

from __future__ import annotations

import shutil

import pytest

from prepare_tests import NEEDS
from tfwheel.system import distribution

PACKAGES = {name: package for programs in NEEDS.values() for name, package in programs.items()}
PACKAGES |= {"nvcc": "nvidia-cuda-toolkit", "unshare": "util-linux"}  # not installed for us: the one is gigabytes
PACKAGES |= {"ccache": "ccache", "make": "make"}


def programs(*names: str) -> list[str]:
    """The paths of programs; without one of them the test is skipped."""
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        command = distribution.command(*dict.fromkeys(PACKAGES[name] for name in missing))
        pytest.skip(f"there is no {' and no '.join(missing)} here: run `{command}`")
    return [str(shutil.which(name)) for name in names]
