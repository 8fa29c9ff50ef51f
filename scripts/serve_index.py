"""Serve dist/site/ on this machine and print the command that installs each wheel in it."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.config import build_config
from tfwheel.config.paths import Paths
from tfwheel.index import local_index
from tfwheel.index.site import SiteContent


def main(arguments: argparse.Namespace) -> None:
    """Update the site and serve it until Ctrl-C."""
    local_index.offer(Paths.here(), SiteContent(settings=build_config.load()), port=arguments.port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (default: 8000; 0: any free one)")
    sys.exit(cli.enter(parser, main))
