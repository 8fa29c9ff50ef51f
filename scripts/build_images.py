"""Build the container images of build_config/containers/ with docker or podman."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import container_images
from tfwheel.system import containers


def main(arguments: argparse.Namespace) -> None:
    """Print a line about each image when it is there."""
    for line in container_images.make(arguments.names, engine=arguments.engine):
        print(line, flush=True)  # noqa: T201 -- the product


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="an image such as `source` (default: all)")
    parser.add_argument("--engine", choices=containers.ENGINES, help="default: the first that works")
    sys.exit(cli.enter(parser, main))
