"""Lock the official wheels that the targets start from, by hash and by what is inside, into bases.toml."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import pins
from tfwheel.config import build_config, plan
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Measure every base that a target needs; keep what is locked already unless told otherwise."""
    settings = build_config.load()
    pins.update(settings, plan.targets(settings), Paths.here().cache, renew=arguments.renew)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renew", action="store_true", help="measure again what is locked already")
    sys.exit(cli.enter(parser, main))
