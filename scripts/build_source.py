"""Build the TensorFlow of a target from source with Bazel in a container, then its wheel; or print how, as a script."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.build import pipeline, source_build
from tfwheel.build.source_build import SourceOptions
from tfwheel.system import containers


def main(arguments: argparse.Namespace) -> None:
    """Print the script, or build the target."""
    options = SourceOptions.given(vars(arguments))
    if arguments.dry_run:
        options.refuse_with_script()
        print(source_build.script_of(arguments.target, options.remote), end="")  # noqa: T201 -- the product
        return
    target = source_build.target_of(arguments.target)
    with source_build.in_parts(to_be_told=arguments.github_output):
        pipeline.build(target.id, source=options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="a target id such as tf2.20.0-cp313-cu128")
    parser.add_argument("--dry-run", action="store_true", help="print a script for another machine, and build nothing")
    parser.add_argument("--wheel", type=Path, help="take this wheel of TensorFlow, which was built elsewhere")
    budget = "stop Bazel after that time, as in 5h or 330m; the same command goes on there"
    parser.add_argument("--time-budget", type=cli.duration, metavar="TIME", help=budget)
    parser.add_argument("--jobs", type=cli.positive, help="actions at once (default: by cores and memory)")
    parser.add_argument("--engine", choices=containers.ENGINES, help="default: the first that works")
    parser.add_argument("--image", type=cli.filled, help="build in this image (default: build_config/containers/)")
    parser.add_argument("--remote-cache", default="", metavar="URL", help="a cache that machines share (http, grpc)")
    parser.add_argument("--remote-executor", default="", metavar="URL", help="machines that run Bazel's actions (grpc)")
    part, told = "a stop is no failure, but told to the next job: see source.yml", argparse.BooleanOptionalAction
    parser.add_argument("--github-output", action=told, default=False, help=part)
    sys.exit(cli.enter(parser, main))
