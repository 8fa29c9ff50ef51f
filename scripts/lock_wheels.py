"""Lock the wheels of dist/site/ with all they need, by hash, for each Python; the locks go to index/install/."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli, install_material, site
from tfwheel.config import build_config
from tfwheel.config.paths import Places
from tfwheel.contents import Showcase
from tfwheel.system import console


def main(_: argparse.Namespace) -> None:
    """Serve the site of this machine while uv resolves against it."""
    places, settings = Places.here(), build_config.load()
    showcase = Showcase(settings=settings)
    entries = site.update(places, showcase)
    with site.serve(places.site) as address:
        locks = install_material.collect(entries, showcase.locks, index_url=address, platform=settings.repair.ceiling)
    install_material.save(locks, showcase.locks)
    console.say(f"{len(locks)} locks in {showcase.locks / 'install'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    sys.exit(cli.enter(parser, main))
