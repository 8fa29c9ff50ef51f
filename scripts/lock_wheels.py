"""Lock the wheels of dist/site/ with all they need, by hash, for each Python; the locks go to index/install/."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.config import build_config
from tfwheel.config.paths import Places
from tfwheel.index import install_files, local_index
from tfwheel.index.site import Showcase
from tfwheel.system import console


def main(_: argparse.Namespace) -> None:
    """Serve the site of this machine while uv resolves against it."""
    places, settings = Places.here(), build_config.load()
    showcase = Showcase(settings=settings)
    entries = local_index.update(places, showcase)
    with local_index.serve(places.site) as address:
        locks = install_files.collect(entries, showcase.locks, index_url=address, platform=settings.repair.ceiling)
    install_files.save(locks, showcase.locks)
    console.say(f"{len(locks)} locks in {showcase.locks / 'install'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    sys.exit(cli.enter(parser, main))
