"""Check a published index from outside, or a downloaded copy of one against its manifest."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.index import manifest
from tfwheel.publish import verify
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Check one or the other and say how much was checked."""
    if arguments.offline:
        console.say(f"{arguments.offline}: {manifest.check(arguments.offline)} files are as listed")
        console.say(manifest.SIGNATURE)
        return
    sealed = arguments.manifest.read_bytes() if arguments.manifest else None
    entries = verify.verify(arguments.base_url, new=arguments.new, expected=sealed, patience_s=arguments.patience)
    console.say(f"{arguments.base_url}: all pages are good; {len(entries)} wheels are listed")
    for file in arguments.install:
        verify.install(arguments.base_url, entries, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--base-url", help="the root of the served index, ending with a slash")
    where.add_argument("--offline", type=Path, metavar="DIR", help="a downloaded copy, with its manifest.json")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="the manifest.json that must be shown there")
    parser.add_argument("--new", action="append", metavar="FILE", help="ask only for this wheel (default: for all)")
    parser.add_argument("--install", action="append", default=[], metavar="FILE", help="a wheel to install from there")
    parser.add_argument("--patience", type=float, default=0, help="seconds that the host may take to show the pages")
    sys.exit(cli.enter(parser, main))
