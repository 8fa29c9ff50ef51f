"""Publish finished wheels: upload them, list them in the ledger, render the pages, and verify all from outside."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.config import build_config, paths
from tfwheel.config.paths import ROOT
from tfwheel.index import site
from tfwheel.publish import publish, stores
from tfwheel.publish.publication import Publication
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Publish these wheels or only render the ledger's pages; with --dry-run, check and print the steps."""
    built = [] if arguments.render_only else sorted(paths.Paths.here().wheels.glob("*/*.whl"))
    job = Publication(
        wheels=tuple(arguments.wheels or built),
        ledger=arguments.ledger,
        site=arguments.site,
        store=stores.FolderStore(folder=arguments.store, address=arguments.store_url),
        content=site.SiteContent(settings=build_config.load()),
        address=arguments.base_url,
        installs=tuple(arguments.install),
        patience_s=arguments.patience,
    )
    done = publish.plan(job) if arguments.dry_run else publish.publish(job, on_step=console.say)
    console.say("\n".join(done) or "nothing to do: all of it is published and shown")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("wheels", nargs="*", default=[], type=Path, help="wheels with records (default: dist/wheels/)")
    what.add_argument("--render-only", action="store_true", help="publish no wheel: show the ledger, as after a yank")
    parser.add_argument("--store", type=cli.named, default=ROOT / "dist" / "store", help="where wheels are kept")
    parser.add_argument("--store-url", default="", help="the URL of that folder (ends with a slash); needed for wheels")
    parser.add_argument("--site", type=cli.named, default=ROOT / "dist" / "public", help="the folder of the pages")
    parser.add_argument("--ledger", type=cli.named, default=ROOT / "index" / "ledger.jsonl")
    parser.add_argument("--base-url", help="the URL of the pages; without it, run `nox -s verify-index` afterwards")
    parser.add_argument("--install", action="append", default=[], metavar="FILE", help="a wheel to install from there")
    parser.add_argument("--patience", type=cli.seconds, default=0, help="seconds that the host may take to show it")
    parser.add_argument("--dry-run", action="store_true", help="print what would happen, and change nothing")
    sys.exit(cli.enter(parser, main))
