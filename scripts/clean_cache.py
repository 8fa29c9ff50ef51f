"""List what is in the cache with sizes and last use; with --days, remove what was not used for so long."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.system import cache_cleaning, cache_root


def main(arguments: argparse.Namespace) -> None:
    """Clean the cache of this user."""
    cache_cleaning.clean(cache_root.folder(), days=arguments.days)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=cli.count, metavar="N", help="remove what was not used for N days")
    sys.exit(cli.enter(parser, main))
