"""Propose changed files as one pull request, or push them. The token is read from $GITHUB_TOKEN."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.config import build_config
from tfwheel.config.paths import ROOT
from tfwheel.publish import pull_request
from tfwheel.publish.github_repository import Repository
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Bring the files, as they are in this checkout, to the main branch."""
    repository = Repository.of_environment(build_config.load().index.repository)
    change = pull_request.ProposedChange(
        branch=arguments.branch,
        title=arguments.title,
        body=arguments.body,
        apply=pull_request.copied(ROOT, arguments.paths),
    )
    remote = arguments.remote or repository.remote
    console.say(
        pull_request.propose(change, repository=repository, remote=remote, push=arguments.push, base=arguments.base)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", help="files or folders, from the root of the checkout")
    parser.add_argument(
        "--branch", required=True, help="the branch of the pull request; it has at most one open pull request"
    )
    parser.add_argument("--title", required=True, help="of the commit and of the pull request")
    parser.add_argument("--body", default="", help="of the pull request")
    parser.add_argument("--base", default=pull_request.MAIN, help="the branch that receives the change")
    parser.add_argument("--push", action="store_true", help="push to that branch itself, without a pull request")
    where = "the URL to push to (default: the repository on GitHub)"
    parser.add_argument("--remote", type=cli.filled, metavar="URL", help=where)
    sys.exit(cli.enter(parser, main))
