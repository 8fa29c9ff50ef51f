"""Check the ledger of published files, yank or unyank a file, record that it is gone, or merge two branches."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.config import paths
from tfwheel.index import ledger, ledger_history
from tfwheel.system import console

LEDGER = paths.ROOT / "index" / "ledger.jsonl"  # of a fork that has published nothing, it does not exist


def main(arguments: argparse.Namespace) -> None:
    """Run one action on the ledger and report it."""
    match arguments.action:
        case "check":
            ledger_history.check(arguments.ledger, since=arguments.since, expected=arguments.ledger != LEDGER)
        case "merge":
            ledger_history.merge_conflicted(arguments.ledger)
        case "merge-driver":
            ledger_history.merge_branches(*arguments.files)
        case "unyank":
            ledger.unyank(arguments.ledger, arguments.file)
        case "yank" | "remove" as edit:
            getattr(ledger, edit)(arguments.ledger, arguments.file, arguments.reason)
    console.say(f"{arguments.action}: done")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger", type=cli.named, default=LEDGER, metavar="PATH")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("check").add_argument("--since", nargs="+", default=[], metavar="COMMIT")
    actions.add_parser("merge")
    actions.add_parser("merge-driver").add_argument("files", nargs=3, type=Path, metavar=("BASE", "OURS", "THEIRS"))
    for name in ("yank", "unyank", "remove"):
        edit = actions.add_parser(name)
        edit.add_argument("file", metavar="FILE")
        if name != "unyank":
            edit.add_argument("--reason", default="")
    sys.exit(cli.enter(parser, main))
