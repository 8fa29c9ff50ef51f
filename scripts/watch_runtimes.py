"""Compare a newer description of Colab's runtime with the stored ones, and say what it means for the wheels."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from tfwheel import cli
from tfwheel.colab import drift, survey
from tfwheel.colab.fit_table import Judge
from tfwheel.config import build_config
from tfwheel.config.paths import Paths
from tfwheel.errors import UsageError
from tfwheel.index import runtime_watch
from tfwheel.publish import standing_issue
from tfwheel.publish.github_repository import Repository
from tfwheel.system import console
from tfwheel.system.files import write_atomically


def main(arguments: argparse.Namespace) -> None:
    """Report, keep the issue up to date if asked to, and end with 63 or 64 if there is something to do."""
    if not (arguments.newer or arguments.pypi):
        message = "there is nothing to compare with: neither --from nor --pypi is given"
        remedy = "Give --from with a clone of googlecolab/backend-info or a snapshot, or --pypi, or both."
        raise UsageError(message, remedy=remedy)
    settings, paths = build_config.load(), Paths.here()
    judge = Judge.load(settings.directory)
    newer = drift.read(arguments.newer) if arguments.newer else None
    official = drift.newer_than(settings, judge) if arguments.pypi else {}
    if newer and arguments.pypi:
        judge = replace(judge, known=survey.extended(settings.directory / "colab", newer, known=judge.known))
    found = runtime_watch.look(settings, paths, judge, newer=newer, official=official)
    print(found.text)  # noqa: T201 -- the product
    if arguments.report:
        write_atomically(arguments.report, found.text.encode())
    if arguments.issue:
        repository, body = Repository.of_environment(settings.index.repository), None if found.is_quiet else found.text
        title, label = runtime_watch.TITLE, runtime_watch.LABEL
        console.say(standing_issue.keep(repository, label=label, title=title, body=body))
    found.check()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", type=Path, dest="newer", metavar="PATH", help="a freeze, snapshot, folder or clone")
    parser.add_argument("--pypi", action="store_true", help="ask pip's index for what is unknown, and new TensorFlows")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report there, too")
    parser.add_argument("--issue", action="store_true", help="keep one issue of the repository up to date with it")
    sys.exit(cli.enter(parser, main))
