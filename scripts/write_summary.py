"""Write dist/reports/summary.md, a row for each wheel, and in CI add it to the summary of the job."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.build import summary
from tfwheel.config import build_config
from tfwheel.config.paths import Paths
from tfwheel.system import ci, console


def main(arguments: argparse.Namespace) -> None:
    """Read the records, write the summary, and print its path."""
    expected = summary.expected(build_config.load(), arguments.expect)
    paths = Paths.here()
    text = summary.refresh(paths, source=arguments.source, expected=expected)
    shown = " and the summary of this job" if ci.add_to_summary(text) else ""
    console.say(text.splitlines()[2])
    console.say(f"{paths.dist / 'reports' / 'summary.md'}{shown}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="DIR", help="downloaded artifacts, each in a folder of its own"
    )
    parser.add_argument(
        "--expect", nargs="+", action="extend", default=[], metavar="ID", help="targets, or a whole matrix as JSON"
    )
    sys.exit(cli.enter(parser, main))
