"""Measure the merge and an unchanged build with their peers; needs a finished target (`nox -s build-cuda12`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import build_bench
from tfwheel import cli
from tfwheel.config.paths import Paths


def main(arguments: argparse.Namespace) -> None:
    """Run the selected measurement, print the table, write the report."""
    paths = Paths.here()
    if arguments.merge_into:
        build_bench.merge_once(paths, arguments.target, arguments.merge_into)
        return
    if arguments.retarget_into:
        build_bench.retarget_once(paths, arguments.target, arguments.retarget_into)
        return
    measured, name = (
        (build_bench.retarget_rows, "bench-retarget") if arguments.retarget else (build_bench.rows, "bench")
    )
    rows = measured(paths, arguments.target, runs=arguments.runs, door=__file__)
    build_bench.report(rows, paths.dist / "reports" / f"{name}.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", default="tf2.20.0-cp312-cu12", help="the target that is measured")
    parser.add_argument("--runs", type=cli.positive, default=5, help="runs of each quick row (the slow peer runs once)")
    parser.add_argument("--retarget", action="store_true", help="measure the new GPU code instead (minutes)")
    parser.add_argument("--retarget-into", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--merge-into", type=Path, help=argparse.SUPPRESS)
    sys.exit(cli.enter(parser, main))
