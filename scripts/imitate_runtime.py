"""Try finished wheels in imitations of Colab's runtimes: install, compare everything else before and after, go back."""

from __future__ import annotations

import argparse
import sys

from imitation import report
from tfwheel import cli
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Pass the runtimes on."""
    report.imitate(arguments.runtimes, Paths.here(), line=arguments.line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runtimes", nargs="*", help="runtimes such as 2026.07 (default: the newest known)")
    parser.add_argument("--line", default="cpu", help="the line whose wheel is installed (default: cpu)")
    sys.exit(cli.enter(parser, main))
