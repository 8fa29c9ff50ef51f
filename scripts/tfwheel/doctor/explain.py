"""Finds the one cause that a log shows, if it is a known one: a false blame is worse than silence."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from tfwheel.doctor.install_signatures import ENDS_AN_INSTALLATION, ENDS_ANYTHING, WARNS
from tfwheel.doctor.run_signatures import ENDS_A_RUN
from tfwheel.doctor.signatures import ERROR, INSTALLED, INSTALLER, NOISE, OWN_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,50}[A-Za-z]|\][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\))")
BOX = dict.fromkeys(map(ord, "│├╰─▶"), " ")
TIMES = re.compile(r"(?m)^(?:\d{4}-\d\d-\d\dT[\d:.,]{8,16}Z?|#\d{1,4} [\d.]{3,9}) ")
LONGEST_LINE, LARGEST_LOG = 2000, 20_000_000  # characters
SIGNATURES = (*ENDS_AN_INSTALLATION, *ENDS_ANYTHING, *ENDS_A_RUN, *WARNS)


@dataclass(frozen=True)
class Explanation:
    """What a log shows: the signature's name, cause and remedy, and the line that told it with its number."""

    name: str
    cause: str
    remedy: str
    line: str
    number: int


class LogText:
    """A log as messages: a line and what is wrapped below it, with one space for any white space.

    No message is longer than LONGEST_LINE and patterns see one at a time, so that the work grows with the log's size.
    ``marks`` says where in a message which line begins. ``BOX`` is what an installer draws, ``TIMES`` what pip,
    GitHub and Docker put before a line.
    """

    def __init__(self, text: str) -> None:  # noqa: D107 -- the class says it
        self.lines = plain_lines(text)
        self.messages: list[str] = [""]
        self.marks: list[list[tuple[int, int]]] = [[(0, 1)]]
        depth = LONGEST_LINE
        for number, line in enumerate(self.lines, 1):
            bare = line.translate(BOX)
            words = " ".join(bare.split())
            if not words or noise_pattern().search(words):
                depth = LONGEST_LINE
                continue
            inner = len(bare) - len(bare.lstrip())
            if inner > depth and len(self.messages[-1]) + len(words) < LONGEST_LINE:
                self.marks[-1].append((len(self.messages[-1]) + 1, number))
                self.messages[-1] += " " + words
            else:
                depth = inner
                self.marks.append([(0, number)])
                self.messages.append(words)
        self.text = "\n".join(self.messages)
        self.starts = [0, *accumulate(len(message) + 1 for message in self.messages)]
        self._read()

    def _read(self) -> None:
        """Find what an installer said that did not succeed in the end, and the last error that is not TensorFlow's."""
        self.foreign = installed = 0
        self.failing: list[bool] = []
        inside = own = False
        for index, message in enumerate(self.messages):
            if INSTALLED.match(message):
                inside, installed = False, index
            elif INSTALLER.match(message):
                inside = True
            elif message.startswith(("Traceback", "$ ")):
                inside = own = "pip/_internal" in message
            if ERROR.match(message) and not OWN_ERROR.search(message):
                self.foreign, inside = index, inside and own
            self.failing.append(inside)
        self.failing[:installed] = [False] * installed

    def find(self, pattern: str) -> Iterator[tuple[int, re.Match[str]]]:
        """Yield where a pattern is, as (number of the message, match); only messages with its word are looked at."""
        rule, word = compiled(pattern)
        at = self.text.find(word)
        while at >= 0:
            index = bisect_right(self.starts, at) - 1
            match = rule.search(self.messages[index])
            if match:
                yield index, match
            at = self.text.find(word, self.starts[index + 1])

    def has(self, pattern: str) -> bool:
        """Return whether a pattern is anywhere."""
        return any(self.find(pattern))

    def line_of(self, index: int, offset: int) -> int:
        """Return the number of the line that a place in a message is on."""
        return next(number for start, number in reversed(self.marks[index]) if start <= offset)


def explain(text: str, site: str = "") -> Explanation | None:
    """Return the cause of a log, None if nothing known is in it; ``site`` is the URL of the index for a remedy."""
    log = LogText(text)
    for signature in SIGNATURES:
        for index, match in (found for one in signature.shows for found in log.find(one)):
            if index < log.foreign or (signature in ENDS_AN_INSTALLATION and not log.failing[index]):
                continue
            if not all(map(log.has, signature.needs)) or any(map(log.has, signature.unless)):
                break
            groups = {key: value or "?" for key, value in match.groupdict().items()}
            number = log.line_of(index, match.start())
            return Explanation(
                name=signature.name,
                cause=signature.cause.format_map(groups) if groups else signature.cause,
                remedy=signature.remedy.replace("{index}", site or "URL/"),
                line=log.lines[number - 1].strip()[:300],
                number=number,
            )
    return None


def plain_lines(text: str) -> list[str]:
    """Return the lines of a log without colours, times, what a progress bar wrote over, and the middle of long ones."""
    lines = TIMES.sub("", ANSI.sub("", text[-LARGEST_LOG:]).replace("\r\n", "\n")).split("\n")
    half = LONGEST_LINE // 2
    shown = (line.rpartition("\r")[2] for line in lines)
    return [line if len(line) <= LONGEST_LINE else line[:half] + line[-half:] for line in shown]


@cache
def compiled(pattern: str) -> tuple[re.Pattern[str], str]:
    """Compile a pattern, with the longest text that is in whatever it matches, empty if there is none."""
    left = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "\0", pattern)
    while "(" in left:
        left = re.sub(r"\([^()]*\)", "\0", left)
    words = re.split(r"\{.*?\}|[^\0][?*]|[\0.^$+?*]", left)
    return re.compile(pattern), "" if "|" in left else max(words, key=len)


@cache
def noise_pattern() -> re.Pattern[str]:
    """Return the pattern of lines that are never blamed."""
    return re.compile("|".join(NOISE))
