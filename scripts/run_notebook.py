"""Run the notebook of the index in an imitation of a Colab runtime and check its outputs, or fill in its parameters."""

from __future__ import annotations

import argparse
import sys

from imitation import report
from tfwheel import cli
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Fill in or run."""
    if arguments.fill:
        report.fill(Paths.here())
    else:
        report.run_notebook(arguments.runtimes, Paths.here(), line=arguments.line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runtimes", nargs="*", help="runtimes such as 2026.07 (default: the newest known)")
    parser.add_argument("--line", default="cpu", help="the line whose wheel is installed (default: cpu)")
    parser.add_argument("--fill", action="store_true", help="only write index/colab.ipynb for the configuration")
    sys.exit(cli.enter(parser, main))
