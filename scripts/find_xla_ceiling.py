"""Find the CUDA version that XLA in an official TensorFlow was built with, and write how to raise it (xla/)."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import pins
from tfwheel.config import build_config, field_types
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Write the file of each version."""
    settings = build_config.load()
    for version in arguments.versions:
        pins.update_ceiling(settings, version, Paths.here().cache, python=arguments.python)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    version = field_types.argument(field_types.Version)
    parser.add_argument("versions", nargs="+", metavar="VERSION", type=version, help="TensorFlow, as in 2.19.1")
    python = field_types.argument(field_types.PythonVersion)
    parser.add_argument("--python", type=python, help="whose official wheel is read (default: one that is locked)")
    sys.exit(cli.enter(parser, main))
