"""Upload finished wheels to a private index; credentials: TWINE_USERNAME and TWINE_PASSWORD, or a keyring."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.config.paths import Paths
from tfwheel.publish import twine_upload
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Upload the wheels that are not there yet, and print the result for each wheel."""
    paths = Paths.here()
    wheels = arguments.wheels or sorted(paths.wheels.glob("*/*.whl"))
    log = paths.dist / "logs" / "upload.log"
    done = twine_upload.upload(wheels, address=arguments.repository_url, pages=arguments.index_url, log=log)
    console.say("\n".join(done))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", nargs="*", type=Path, help="wheels with records (default: all in dist/wheels/)")
    parser.add_argument("--repository-url", required=True, metavar="URL", help="the URL for uploads")
    pages = "the URL for installers (default: simple/ below that)"
    parser.add_argument("--index-url", type=cli.filled, metavar="URL", help=pages)
    sys.exit(cli.enter(parser, main))
