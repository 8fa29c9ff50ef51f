"""Try finished wheels in imitations of Colab's runtimes: install, compare everything else before and after, go back."""

from __future__ import annotations

import argparse
import sys

from imitation import report
from imitation.attempts import Wish
from tfwheel import cli
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Pass the wish on."""
    report.imitate(Wish.of(arguments), Paths.here())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    Wish.add_to(parser)
    sys.exit(cli.enter(parser, main))
