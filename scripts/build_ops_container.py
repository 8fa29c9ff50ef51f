"""Build the ops wheel of a target in a container with cibuildwheel, for an older platform than this machine's."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import ops_in_container
from tfwheel.system import containers


def main(arguments: argparse.Namespace) -> None:
    """Pass the target to the container build."""
    ops_in_container.build(
        arguments.target,
        engine=arguments.engine,
        image=arguments.image,
        force=arguments.force,
        require_gpu=arguments.require_gpu,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="a target id such as tf2.20.0-cp312-cu12; its Python runs the ops' tests")
    parser.add_argument("--engine", choices=containers.ENGINES, help="default: the first that works")
    parser.add_argument("--image", type=cli.filled, help="an image to build in (default: of build_config/containers/)")
    parser.add_argument("--force", action="store_true", help="build again even if nothing changed")
    parser.add_argument("--require-gpu", action="store_true", help="fail unless the smoke test ran on a GPU")
    sys.exit(cli.enter(parser, main))
