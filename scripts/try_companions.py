"""Try the projects of companions.toml beside finished wheels, and store the results in their records."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import companions


def main(arguments: argparse.Namespace) -> None:
    """Pass the targets on."""
    companions.try_all(arguments.targets)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="target ids such as tf2.20.0-cp312-cu12; by default all in dist/")
    sys.exit(cli.enter(parser, main))
