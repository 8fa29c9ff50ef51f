"""Build one target: official wheel, custom ops, repair, merge, gates, smoke test, index."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import pipeline


def main(arguments: argparse.Namespace) -> None:
    """Pass the target to the pipeline."""
    pipeline.build(
        arguments.target,
        force=arguments.force,
        require_gpu=arguments.require_gpu,
        smoke=arguments.smoke,
        trial=arguments.trial,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="a target id such as tf2.20.0-cp312-cu12")
    parser.add_argument("--force", action="store_true", help="build again even if nothing changed")
    parser.add_argument("--require-gpu", action="store_true", help="fail unless the smoke test ran on a GPU")
    parser.add_argument(
        "--no-smoke", dest="smoke", action="store_false", help="build and gates alone: run nothing of it"
    )
    parser.add_argument("--trial", action="store_true", help="build although that version is published: only for here")
    sys.exit(cli.enter(parser, main))
