"""Release the wheels of one version: check, stage, gates, confirm, publish, show. $GITHUB_TOKEN has the token."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from rehearsal import release_rehearsal
from tfwheel import cli
from tfwheel.build import recheck
from tfwheel.config import build_config
from tfwheel.config.paths import Paths
from tfwheel.publish import release
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Run the selected steps; a whole rehearsal needs no token and changes only dist/."""
    settings, paths, only = build_config.load(), Paths.here(), arguments.only
    if arguments.dry_run and only in (None, "publish"):
        release_rehearsal.build_missing(settings, paths, arguments.version)
        console.say("\n".join(release_rehearsal.rehearse(settings, paths, arguments.version)))
        return
    context = release.ReleaseContext.here(settings, paths, rehearsed=bool(arguments.dry_run))
    wanted = release.planned(context, arguments.version)
    gates = partial(recheck.recheck, version=wanted.version, paths=paths)
    for name, step in release.steps(context, wanted, gates=gates, sums=arguments.sums).items():
        if only in (None, name):
            step()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="as in build_config: TENSORFLOW+LABEL.BUILD, or its tag (v...)")
    parser.add_argument("--only", choices=release.STEPS, help="run one step; in this order, each can be repeated")
    parser.add_argument(
        "--sums", type=cli.filled, help="the sha256 that SHA256SUMS had when it was staged (for `--only confirm`)"
    )
    parser.add_argument("--dry-run", action=argparse.BooleanOptionalAction, help="rehearse it here, without GitHub")
    sys.exit(cli.enter(parser, main))
