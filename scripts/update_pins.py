"""Lock the official wheels that the targets start from, by hash and measured contents, into bases.toml."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import new_versions, pins
from tfwheel.config import build_config, plan
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Measure every base wheel of the targets; keep existing locks unless --renew is given."""
    settings = build_config.load()
    if arguments.new:
        print(new_versions.propose(settings), end="")  # noqa: T201 -- the product
        return
    pins.update(settings, plan.targets(settings), Paths.here().cache, renew=arguments.renew)
    build_config.load()  # what a line cannot have of a new official wheel is said now


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--renew", action="store_true", help="also measure the locked wheels again")
    which.add_argument(
        "--new", action="store_true", help="lock nothing; propose TensorFlow versions that are not built"
    )
    sys.exit(cli.enter(parser, main))
