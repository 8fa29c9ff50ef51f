# ruff: noqa: INP001 -- not a package: a program that the container runs
"""Runs auditwheel in the container with the rules of ``repair.toml``: `repair.py WHEEL FOLDER`."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "repair.toml"


def main(wheel: str, folder: str) -> None:
    """Repair one wheel into a folder, and print what did it: its output is all that the host sees."""
    rules = tomllib.loads(RULES.read_text(encoding="utf-8"))
    excludes = [f"--exclude={pattern}" for pattern in rules["exclude"]]
    for words in (
        ["auditwheel", "--version"],
        ["patchelf", "--version"],
        ["auditwheel", "repair", "--plat", "auto", "-z", "6", *excludes, "-w", folder, wheel],
    ):
        subprocess.run(words, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
