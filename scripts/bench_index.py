"""Measure the index and dumb-pypi at several sizes, print the table, and write dist/reports/index_bench.json."""

from __future__ import annotations

import argparse
import sys

from benchmarks import index_bench
from tfwheel import cli
from tfwheel.config.paths import Paths
from tfwheel.errors import UsageError


def main(arguments: argparse.Namespace) -> None:
    """Measure every size, print the table, write the report."""
    if wrong := [size for size in arguments.sizes if size % index_bench.STEP]:
        message = f"--sizes {wrong[0]}: no multiple of {index_bench.STEP}"
        raise UsageError(message)
    dist = Paths.here().dist
    rows = index_bench.rows(dist / "work" / "index-bench", sizes=arguments.sizes, runs=arguments.runs)
    index_bench.report(rows, dist / "reports" / "index_bench.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes",
        type=cli.positive,
        nargs="+",
        default=[1_000, 10_000, 100_000],
        help="files in the index (multiples of 500)",
    )
    parser.add_argument("--runs", type=cli.positive, default=3, help="how often each is measured; the median counts")
    sys.exit(cli.enter(parser, main))
