"""Run the notebook of the index in an imitation of a Colab runtime and check its outputs, or fill in its parameters."""

from __future__ import annotations

import argparse
import sys

from imitation import execution
from imitation.attempts import Wish
from tfwheel import cli
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Fill in or run."""
    if arguments.fill:
        execution.fill(Paths.here())
    else:
        execution.run_all(Wish.of(arguments), Paths.here())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Wish.add_to(parser)
    parser.add_argument("--fill", action="store_true", help="only write index/colab.ipynb for the configuration")
    sys.exit(cli.enter(parser, main))
