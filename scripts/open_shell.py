"""Open a shell in the container in which the TensorFlow of a target is built from source, with its tree and caches."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import source_build
from tfwheel.build.source_build import SourceOptions
from tfwheel.system import containers


def main(arguments: argparse.Namespace) -> None:
    """Become that shell."""
    source_build.enter(arguments.target, SourceOptions.given(vars(arguments)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="a target id such as tf2.20.0-cp313-cu128")
    parser.add_argument("--engine", choices=containers.ENGINES, help="default: the first that works")
    parser.add_argument("--image", type=cli.filled, help="another image than that of build_config/containers/")
    sys.exit(cli.enter(parser, main))
