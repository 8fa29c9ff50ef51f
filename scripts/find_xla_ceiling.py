"""Find the CUDA version that XLA in an official TensorFlow was built with, and write how to raise it (xla/)."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import pins
from tfwheel.config import build_config
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Write the file of each version."""
    settings = build_config.load()
    for version in arguments.versions:
        pins.update_ceiling(settings, version, Paths.here().cache, python=arguments.python, cuda=arguments.cuda)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="+", metavar="VERSION", help="TensorFlow, as in 2.19.1")
    parser.add_argument("--python", default="3.11", help="whose official wheel is read (default: %(default)s)")
    parser.add_argument("--cuda", help="the version to raise XLA to (default: the newest `xla` of lines.toml)")
    sys.exit(cli.enter(parser, main))
