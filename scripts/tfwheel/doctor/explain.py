"""Finds the one cause that a log shows, if it is a known one: a false blame is worse than silence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from tfwheel.doctor.install_signatures import ENDS_AN_INSTALLATION, WARNS
from tfwheel.doctor.run_signatures import ENDS_A_RUN
from tfwheel.doctor.signatures import NOISE

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
TIMES = re.compile(r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3} ")
LONGEST_LINE, LARGEST_LOG = 5000, 20_000_000  # characters
SIGNATURES = (*ENDS_AN_INSTALLATION, *ENDS_A_RUN, *WARNS)


@dataclass(frozen=True)
class Explanation:
    """What a log shows: the signature's name, cause and remedy, and the line that told it with its number."""

    name: str
    cause: str
    remedy: str
    line: str
    number: int


def explain(text: str, site: str = "") -> Explanation | None:
    """Return the cause of a log, None if nothing known is in it; ``site`` is the URL of the index for a remedy."""
    lines = plain_lines(text)
    kept = "\n".join("" if noise_pattern().search(line) else line for line in lines)
    for signature in SIGNATURES:
        found = next(filter(None, (spaced(one).search(kept) for one in signature.shows)), None)
        if found is None:
            continue
        needed = all(spaced(one).search(kept) for one in signature.needs)
        if needed and not any(spaced(one).search(kept) for one in signature.unless):
            groups = {key: value or "?" for key, value in found.groupdict().items()}
            number = kept.count("\n", 0, found.start()) + 1
            return Explanation(
                name=signature.name,
                cause=signature.cause.format_map(groups) if groups else signature.cause,
                remedy=signature.remedy.replace("{index}", site or "URL/"),
                line=lines[number - 1].strip()[:300],
                number=number,
            )
    return None


def plain_lines(text: str) -> list[str]:
    """Return the lines of a log without colours, times of `pip --log`, and what a progress bar wrote over."""
    text = TIMES.sub("", ANSI.sub("", text[-LARGEST_LOG:]).replace("\r\n", "\n"))
    return [line.rpartition("\r")[2][:LONGEST_LINE] for line in text.split("\n")]


@cache
def spaced(pattern: str) -> re.Pattern[str]:
    """Compile a pattern whose spaces stand for any white space, the border of an installer's box included."""
    return re.compile(re.sub(r"(?<!\\)(?<!\[) (?![?*+\]])", r"[\\s│╰─▶]+", pattern))


@cache
def noise_pattern() -> re.Pattern[str]:
    """Return the pattern of lines that are never blamed."""
    return re.compile("|".join(NOISE))
