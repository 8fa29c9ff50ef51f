"""Print the matrix: the configured wheels as a table or as JSON, or the CI jobs of an event."""

from __future__ import annotations

import argparse
import json
import sys

from tfwheel import cli
from tfwheel.config import build_config, ci_jobs, ci_settings, paths, tables
from tfwheel.system import ci


def main(arguments: argparse.Namespace) -> None:
    """Print the jobs of an event (and pass them to the next CI jobs), or the targets."""
    ci_jobs.check_options(vars(arguments))
    if not arguments.event:
        kind = "gpus" if arguments.gpus else "json" if arguments.json else "table"
        print(tables.text(build_config.load(), kind=kind, line=arguments.line, default=arguments.default))  # noqa: T201 -- the product
        return
    changed = ci.changed_files(paths.ROOT, since=arguments.changed_since) if arguments.changed_since else None
    loaded = build_config.load(), ci_settings.load()
    jobs = ci_jobs.matrix(*loaded, event=arguments.event, labels=arguments.label, changed=changed)
    if arguments.github_output:
        ci.set_outputs({"matrix": json.dumps(jobs), "any": json.dumps(bool(jobs["include"]))})
    print(json.dumps(jobs, indent=2))  # noqa: T201 -- as above


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--line", help="only the targets of this line (cpu, ...)")
    parser.add_argument("--default", action="store_true", help="only the targets that a plain build makes")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--gpus", action="store_true", help="the code that each GPU of Colab runs, before and after")
    other.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--event", type=cli.filled, help="the CI jobs of this event, as JSON (pull_request, push, ...)")
    parser.add_argument("--label", nargs="+", action="extend", default=[], metavar="WORD", help="select more targets")
    since = "no jobs unless a build input changed since that commit"
    parser.add_argument("--changed-since", type=cli.filled, metavar="REV", help=since)
    parser.add_argument("--github-output", action="store_true", help="set `matrix` and `any` in $GITHUB_OUTPUT too")
    sys.exit(cli.enter(parser, main))
