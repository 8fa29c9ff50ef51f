"""Deploy an uploaded artifact to GitHub Pages as a version of its own. The token is read from $GITHUB_TOKEN."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.config import build_config
from tfwheel.config.paths import ROOT
from tfwheel.publish import github_pages
from tfwheel.publish.github_repository import Repository


def main(arguments: argparse.Namespace) -> None:
    """Deploy the artifact, and wait until it is done."""
    repository = Repository.of_environment(build_config.load().index.repository)
    github_pages.deploy(repository, arguments.artifact, history=github_pages.history(ROOT))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=int, help="its number: the output `artifact_id` of upload-pages-artifact")
    sys.exit(cli.enter(parser, main))
