"""Extracts from a build log what compilers and CMake complain of, and says what old names are called now."""

from __future__ import annotations

import re

SHOWN = 5  # errors
LINES = 4  # of each at least: what CMake says is indented, and shown whole
# What sources of older projects name: how it is called now, and what g++ or clang says of the old name.
RENAMED = (
    ("Status::OK()", "absl::OkStatus()", r"\WOK\W is not a member of|no member named 'OK'"),
    ("third_party/eigen3/", "", r"third_party/eigen3/\S+: No such file|'third_party/eigen3/\S+' file not found"),
    ("gpu/cub/", "cub/", r"gpu/cub/\S+: No such file|'\S*gpu/cub/\S+' file not found"),
)


def words(output: str) -> str:
    """Extract the errors from a build log, the last one first, each with the lines below it."""
    lines = output.splitlines()
    starts = [
        index for index, line in enumerate(lines) if re.search(r"\b(fatal )?error\b\s*:|\bfatal\s+:|CMake Error", line)
    ]
    blocks = ["\n".join(lines[start : _end(lines, start)]) for start in reversed(starts[-SHOWN:])]
    return "\n".join(blocks or reversed(lines[-15:]))


def _end(lines: list[str], start: int) -> int:
    """Return where the words about an error end."""
    end = start + 1
    while "CMake Error" in lines[start] and end < len(lines) and lines[end].startswith("  "):
        end += 1
    return max(end, start + LINES)


def hints(output: str) -> list[str]:
    """Return what to write in place of names that TensorFlow had once, as far as compilers miss them."""
    found = [(old, new) for old, new, words in RENAMED if re.search(words, output)]
    return [f"Write `{new}` for `{old}`." if new else f"Leave `{old}` out." for old, new in found]
