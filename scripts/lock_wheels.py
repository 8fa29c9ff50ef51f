"""Lock the wheels of dist/site/ with their dependencies, by hash, for each Python, into index/install/."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.config import build_config
from tfwheel.config.paths import Paths
from tfwheel.index import install_files, local_index, server
from tfwheel.index.site import SiteContent
from tfwheel.system import console


def main(_: argparse.Namespace) -> None:
    """Serve the site of this machine while uv resolves from it, and save the locks."""
    paths, settings = Paths.here(), build_config.load()
    content = SiteContent(settings=settings)
    entries = local_index.update(paths, content)
    with server.serve(paths.site) as address:
        locks = install_files.collect(entries, content.locks, index_url=address, platform=settings.repair.ceiling)
    install_files.save(locks, content.locks)
    console.say(f"{len(locks)} locks in {content.locks / 'install'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    sys.exit(cli.enter(parser, main))
