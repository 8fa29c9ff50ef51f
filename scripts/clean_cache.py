"""List what is in the cache with sizes and last use; with --days, remove what was not used for so long."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.source import order
from tfwheel.system import cache_cleaning, cache_root, containers


def main(arguments: argparse.Namespace) -> None:
    """Clean the cache of this user, or remove Bazel's volumes."""
    if arguments.volumes:
        containers.remove_volumes_of(containers.find_engine(), order.VOLUMES)
    else:
        cache_cleaning.clean(cache_root.folder(), days=arguments.days)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--days", type=cli.count, metavar="N", help="remove what was not used for N days")
    volumes = "remove the volumes of builds from source: the next one begins anew"
    what.add_argument("--volumes", action="store_true", help=volumes)
    sys.exit(cli.enter(parser, main))
