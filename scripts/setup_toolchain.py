"""Set up the compilers of a CUDA line and say what was chosen and why."""

from __future__ import annotations

import argparse
import sys

from tfwheel import config, door, progress, toolchain
from tfwheel.errors import UnknownTargetError
from tfwheel.places import Places


def main(arguments: argparse.Namespace) -> None:
    """Find the line, set its toolchain up, print it."""
    lines = config.load().lines
    if arguments.line not in lines:
        message = f"there is no line `{arguments.line}`; {config.nearest(arguments.line, list(lines))}"
        raise UnknownTargetError(message)
    chosen = toolchain.prepare(lines[arguments.line], cache=Places.here().cache)
    progress.say(f"{arguments.line}: {chosen.reason}")
    for name, value in (chosen.identity | chosen.environment()).items():
        progress.say(f"  {name}: {value}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("line", help="a line of build_config/lines.toml, for example cu12")
    sys.exit(door.enter(parser, main))
