"""Lock the official wheels that the targets start from, by hash and measured contents, into bases.toml."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import pins
from tfwheel.config import build_config, plan
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Measure every base wheel of the targets; keep existing locks unless --renew is given."""
    settings = build_config.load()
    pins.update(settings, plan.targets(settings), Paths.here().cache, renew=arguments.renew)
    build_config.load()  # what a line cannot have of a new official wheel is said now


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renew", action="store_true", help="also measure the locked wheels again")
    sys.exit(cli.enter(parser, main))
