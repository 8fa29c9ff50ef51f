"""Print the matrix: which wheels the configuration asks for, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import sys

from tfwheel import config, door, gpufit, matrix, plan


def main(arguments: argparse.Namespace) -> None:
    """Load the configuration, select, print."""
    settings = config.load()
    if arguments.gpus:
        targets = plan.select(plan.targets(settings), line=arguments.line, default=arguments.default)
        print(matrix.gpu_table(gpufit.rows(settings, targets, gpufit.load(settings.directory))))  # noqa: T201 -- as below
        return
    rows = matrix.rows(settings, line=arguments.line, default=arguments.default)
    print(json.dumps(rows, indent=2) if arguments.json else matrix.table(rows))  # noqa: T201 -- the product of this door


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--line", help="only the targets of this line (cpu, cu12, ...)")
    parser.add_argument("--default", action="store_true", help="only the targets that a plain build makes")
    parser.add_argument("--gpus", action="store_true", help="what each GPU of Colab runs, before and after")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    sys.exit(door.enter(parser, main))
