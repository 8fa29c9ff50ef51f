"""Set up the compilers of a CUDA line and print what was chosen and why."""

from __future__ import annotations

import argparse
import sys

from tfwheel import cli
from tfwheel.build import toolchain
from tfwheel.config import build_config, toml_files
from tfwheel.config.errors import SelectionError
from tfwheel.config.paths import Paths
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Set up the toolchain of the line and print it."""
    lines = build_config.load().lines
    if arguments.line not in lines:
        message = f"there is no line `{arguments.line}`; {toml_files.nearest(arguments.line, list(lines))}"
        raise SelectionError(message)
    chosen = toolchain.prepare(lines[arguments.line], cache=Paths.here().cache)
    console.say(f"{arguments.line}: {chosen.reason}")
    for name, value in (chosen.identity | chosen.environment()).items():
        console.say(f"  {name}: {value}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("line", help="a line of build_config/lines.toml, for example cu12")
    sys.exit(cli.enter(parser, main))
