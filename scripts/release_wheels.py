"""Release the wheels of one version: check, stage, publish. The token is read from $GITHUB_TOKEN."""

from __future__ import annotations

import argparse
import sys

from rehearsal import release_rehearsal
from tfwheel import cli
from tfwheel.config import build_config
from tfwheel.config.paths import Paths
from tfwheel.publish import release
from tfwheel.system import console

STEPS = ("check", "stage", "publish")


def main(arguments: argparse.Namespace) -> None:
    """Run the selected steps; a whole rehearsal needs no token and changes only dist/."""
    settings, paths = build_config.load(), Paths.here()
    if arguments.dry_run and arguments.only in (None, "publish"):
        release_rehearsal.build_missing(settings, paths, arguments.version)
        console.say("\n".join(release_rehearsal.rehearse(settings, paths, arguments.version)))
        return
    context = release.ReleaseContext.here(settings, paths, rehearsed=bool(arguments.dry_run))
    wanted = release.planned(context, arguments.version)
    if arguments.only in (None, "check"):
        release.tell_ci(release.check(context, wanted), wanted)
    if arguments.only in (None, "stage"):
        release.stage(context, wanted)
    if arguments.only in (None, "publish"):
        release.publish(context, wanted)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="as in build_config: TENSORFLOW+LABEL.BUILD, or its tag (v...)")
    parser.add_argument("--only", choices=STEPS, help="run one step; in this order, each can be repeated")
    parser.add_argument(
        "--dry-run", action=argparse.BooleanOptionalAction, help="rehearse it here with a fake GitHub server"
    )
    sys.exit(cli.enter(parser, main))
