"""Smoke-test the finished wheel of a target again, and store the new report in its record."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import pipeline


def main(arguments: argparse.Namespace) -> None:
    """Pass the target to the pipeline."""
    pipeline.smoke_target(arguments.target, require_gpu=arguments.require_gpu)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="a target id such as tf2.20.0-cp312-cu12")
    parser.add_argument("--require-gpu", action="store_true", help="fail unless the checks ran on a GPU")
    sys.exit(cli.enter(parser, main))
