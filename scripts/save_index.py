"""Save a published index, checked against its manifest, so that a bad successor can be rolled back."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.publish import snapshot
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Copy the index, and print the number of files."""
    count = snapshot.save(arguments.base_url, arguments.to)
    console.say(f"{arguments.to}: {count} files of {arguments.base_url}" if count else "nothing was copied")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True, help="the root of the served index, ending with a slash")
    parser.add_argument("--to", type=cli.named, required=True, metavar="DIR", help="the folder for the copy, replaced")
    sys.exit(cli.enter(parser, main))
