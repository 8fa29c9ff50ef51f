"""Verify a published index from outside, a downloaded copy with its manifest, or the releases with the ledger."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.config.paths import ROOT, Paths
from tfwheel.index import ledger, manifest
from tfwheel.publish import inventory, verify
from tfwheel.publish.github_api import GithubApi
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Run one of the checks and print how much was checked."""
    if arguments.offline:
        console.say(f"{arguments.offline}: {manifest.check(arguments.offline)} files are as listed")
        console.say(manifest.SIGNATURE)
        return
    if arguments.releases:
        token, cache = os.environ.get("GITHUB_TOKEN"), Paths.here().cache / "releases"
        api = GithubApi(api=arguments.api, repo=arguments.releases, token=token, cache=cache)
        inventory.verify(api, ledger.read(arguments.ledger).entries)
        return
    sealed = manifest.load(arguments.manifest) if arguments.manifest else None
    entries = verify.verify(arguments.base_url, new=arguments.new, expected=sealed, patience_s=arguments.patience)
    console.say(f"{arguments.base_url}: all pages are good; {len(entries)} wheels are listed")
    for file in arguments.install:
        verify.install(arguments.base_url, entries, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--base-url", help="the root of the served index, ending with a slash")
    where.add_argument("--offline", type=Path, metavar="DIR", help="a downloaded copy, with its manifest.json")
    where.add_argument("--releases", metavar="OWNER/NAME", help="a repository on GitHub (token: $GITHUB_TOKEN)")
    parser.add_argument("--api", default=os.environ.get("GITHUB_API_URL", "https://api.github.com"), metavar="URL")
    parser.add_argument("--ledger", type=cli.named, default=ROOT / "index" / "ledger.jsonl", metavar="PATH")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="the manifest.json that must be published there")
    parser.add_argument("--new", action="append", metavar="FILE", help="request only this wheel (default: all)")
    parser.add_argument("--install", action="append", default=[], metavar="FILE", help="a wheel to install from there")
    parser.add_argument("--patience", type=cli.seconds, default=0, help="seconds that the host may take to show it")
    sys.exit(cli.enter(parser, main))
