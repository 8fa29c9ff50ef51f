"""Hold the ledger against what the releases of a repository really have, and stop at the first thing that is wrong."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.config.paths import ROOT, Paths
from tfwheel.index import ledger
from tfwheel.publish import inventory
from tfwheel.publish.github_api import GithubApi
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Read the releases, compare, and say what the ledger does not list."""
    token = os.environ.get("GITHUB_TOKEN")
    host = GithubApi(api=arguments.api, repo=arguments.repo, token=token, cache=Paths.here().cache / "releases")
    entries = ledger.read(arguments.ledger).entries
    assets = inventory.published(host, known=entries)
    for asset in inventory.compare(entries, assets):
        console.warn(f"{asset.file} of release {asset.tag} is not in the ledger, so no page lists it")
    console.say(f"{arguments.repo}: {len(assets)} wheels, each with digest, sidecar and METADATA; the ledger agrees")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=f"{__doc__} A token is read from $GITHUB_TOKEN.")
    parser.add_argument("repo", metavar="OWNER/NAME")
    parser.add_argument("--api", default=os.environ.get("GITHUB_API_URL", "https://api.github.com"), metavar="URL")
    parser.add_argument("--ledger", type=Path, default=ROOT / "index" / "ledger.jsonl", metavar="PATH")
    sys.exit(cli.enter(parser, main))
