"""Say whether wheels fit Colab's runtimes: the planned ones, those built here, and those of the published index."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.colab import fit_table
from tfwheel.colab.fit_table import Judge
from tfwheel.config import build_config
from tfwheel.config.paths import Paths
from tfwheel.index import fit_of_index

NOTHING = {
    "planned": "There is no wheel to judge: no target of that line has a locked official wheel, and what is built from "
    "source is judged when it is built. See `nox -s plan`.",
    "built": "There is no wheel to judge in dist/wheels/: build one first, as with `nox -s build-cpu`.",
    "published": "There is no wheel to judge: none of that is published. `nox -s fit` judges the planned ones.",
}


def main(arguments: argparse.Namespace) -> None:
    """Judge the chosen wheels and print the table, or JSON."""
    settings, paths = build_config.load(), Paths.here()
    judge = Judge.load(settings.directory)
    rows = {
        "planned": lambda: fit_table.planned(settings, judge, line=arguments.line),
        "built": lambda: fit_table.of_wheels(fit_of_index.built(paths, settings, line=arguments.line), judge),
        "published": lambda: fit_table.of_wheels(fit_of_index.published(paths, settings, line=arguments.line), judge),
    }[arguments.of]()
    said = (
        fit_table.as_json(rows, judge) if arguments.json else fit_table.text(rows, judge, nothing=NOTHING[arguments.of])
    )
    print(said)  # noqa: T201 -- the product


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    about = "planned (default), built (dist/wheels/) or published (index/ledger.jsonl)"
    parser.add_argument("of", nargs="?", choices=tuple(NOTHING), default="planned", metavar="WHICH", help=about)
    parser.add_argument("--line", help="only the wheels of this line (cpu, ...)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    sys.exit(cli.enter(parser, main))
