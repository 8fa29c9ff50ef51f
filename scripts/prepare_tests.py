"""Install the programs that tests need and this machine lacks, as root on Debian or Ubuntu; elsewhere say how."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.system import distribution

NEEDS = {  # by purpose: a program and the package of Debian and Ubuntu that brings it
    "tests that compile": {"gcc": "gcc", "g++": "g++"},
    "tests with git": {"git": "git"},
    "tests with other zip readers": {"unzip": "unzip"},
    "tests in a browser": {"chromium": "chromium", "chromedriver": "chromium-driver", "npm": "npm"},
    "tests in containers": {"podman": "podman", "runc": "runc", "debootstrap": "debootstrap"},
}


def main(_: argparse.Namespace) -> None:
    """Install what is missing."""
    distribution.install_missing(NEEDS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    sys.exit(cli.enter(parser, main))
