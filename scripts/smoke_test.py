"""Smoke-test the finished wheel of a target again, here or in a container, and store the new report in its record."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import pipeline
from tfwheel.checks import container_environments
from tfwheel.errors import UsageError
from tfwheel.system import containers


def main(arguments: argparse.Namespace) -> None:
    """Pass the target to the pipeline."""
    if arguments.engine and not arguments.container:
        message = "--engine is for a test in a container"
        raise UsageError(message, remedy="Add --container, or leave --engine out.")
    pipeline.smoke_target(
        arguments.target, require_gpu=arguments.require_gpu, image=arguments.container, engine=arguments.engine
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    image = container_environments.IMAGE
    where = f"test in a container of this image (default: {image}); it gets all GPUs of this machine"
    parser.add_argument("target", help="a target id such as tf2.20.0-cp312-cu12")
    parser.add_argument("--require-gpu", action="store_true", help="fail unless the checks ran on a GPU")
    parser.add_argument("--container", nargs="?", const=image, type=cli.filled, metavar="IMAGE", help=where)
    parser.add_argument("--engine", choices=containers.ENGINES, help="of the container (default: the first that works)")
    sys.exit(cli.enter(parser, main))
