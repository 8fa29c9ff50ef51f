"""Keep a copy of a published index, whole and as its manifest says, to show again if its successor turns out bad."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.publish import snapshot
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Copy, and say how much."""
    count = snapshot.save(arguments.base_url, arguments.to)
    console.say(f"{arguments.to}: {count} files of {arguments.base_url}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True, help="the root of the served index, ending with a slash")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder of the copy, made anew")
    sys.exit(cli.enter(parser, main))
