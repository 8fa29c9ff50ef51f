"""Run the jobs of a workflow on this machine from its YAML, in clean clones of this checkout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.config.paths import ROOT
from tfwheel.system import console
from workflow_runner import runner


def main(arguments: argparse.Namespace) -> None:
    """Rehearse the workflow, and print where the output of the jobs is."""
    inputs, rows = runner.pairs(arguments.input), runner.pairs(arguments.row)
    labels = tuple(arguments.label)
    occasion = runner.Event(event=arguments.event, inputs=inputs, labels=labels, base=arguments.base)
    folder = ROOT / "dist" / "workflows" / Path(arguments.workflow).stem
    trial = runner.Rehearsal(checkout=ROOT, folder=folder, occasion=occasion, rows=rows)
    trial.rehearse(arguments.workflow, arguments.jobs)
    console.say(f"the output of the jobs is in {trial.folder}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workflow", help="a file of .github/workflows/, such as ci.yml")
    parser.add_argument(
        "jobs", nargs="*", help="only these jobs (default: all); others count as green, without outputs"
    )
    parser.add_argument("--event", default="pull_request", help="GitHub's name of the event (default: pull_request)")
    parser.add_argument("--base", default="HEAD", metavar="REV", help="the commit a pull request would be merged into")
    parser.add_argument("--label", action="append", default=[], help="a label of the pull request")
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME=VALUE", help="an input of a call or a start by hand"
    )
    parser.add_argument("--row", action="append", default=[], metavar="NAME=VALUE", help="only matching matrix rows")
    sys.exit(cli.enter(parser, main))
