"""Read a unified diff strictly: every line is words before the first header, a header, or part of a hunk.

A line that is none of them could be a change that would be dropped without a word, so it is an error. So is whatever
asks for more than changed lines of text: renames, modes, new and deleted files, binary data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

HUNK = re.compile(r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@(?: .*)?", re.DOTALL)
GIT = re.compile(r"diff --git a/(\S+) b/(\S+)")
INDEX = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+( [0-7]{6})?")
# What git and diff say in a header about more than lines of text (git-diff, "Generating patch text with -p").
MORE_THAN_LINES = re.compile(
    r"(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to|similarity index"
    r"|dissimilarity index|Binary files|Only in) |GIT binary patch"
)
NO_NEWLINE = "\\"  # begins "\ No newline at end of file", in any language
SIGNATURE, SIGNED = "-- ", re.compile(r"[0-9][\w.-]*")  # the end of a mailed patch: the version of git


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Lines put in place of others: ``old`` are removed after the first ``start`` lines of the file, ``new`` added.

    A line ends with its newline, unless it is the last one of a file and has none.
    """

    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def end(self) -> int:
        """The number of the last line removed, ``start`` where none is."""
        return self.start + len(self.old)


@dataclass(frozen=True, kw_only=True)
class Hunk:
    """One hunk: the lines that it expects after the first ``start`` of the file, and its edits of them."""

    start: int
    expected: tuple[str, ...]
    edits: tuple[Edit, ...]


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """The part of a patch about one file, by its two names as written."""

    source: str
    target: str
    hunks: list[Hunk] = field(default_factory=list)


def parse(text: str) -> list[FileChange]:
    """Read a diff; raise ValueError, which names the line, for whatever could be lost."""
    return _Parser(text.split("\n")).parse()


class _Parser:
    """The lines of a diff, read one after the other; ``at`` is the index of the next one."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines[:-1] if lines[-1] == "" else lines
        self.at = 0
        self.changes: list[FileChange] = []
        self.announced = ""  # the line `diff --git ...`, until its file follows

    def parse(self) -> list[FileChange]:
        """Read all lines."""
        for number, line in enumerate(self.lines):
            if "\0" in line:
                self._fail("a NUL character, which no Python file has", number)
        while self.at < len(self.lines):
            self._next(self.lines[self.at])
        if self.announced:
            self._fail(f"{self.announced!r} before it has no hunk", len(self.lines) - 1)
        return self.changes

    def _next(self, line: str) -> None:
        """Read one header or hunk, or a line between them."""
        if MORE_THAN_LINES.match(line):
            self._fail(f"{line!r}: a patch changes lines of text; it adds, deletes, renames and converts no file")
        if line.startswith(("--- ", "+++ ")):
            self._file()
        elif line.startswith("@@"):
            self._hunk(line)
        elif line.startswith("diff "):
            self._announce(line)
        elif line == SIGNATURE and self._is_signed():
            self.at = len(self.lines)
        elif not self.changes or not line or (self.announced and INDEX.fullmatch(line)):
            self.at += 1  # words before the first file, an empty line between two, the hashes of git
        else:
            self._fail(f"{line!r} belongs to no hunk: the `@@` line before it counts fewer lines")

    def _announce(self, line: str) -> None:
        if self.announced:
            self._fail(f"{self.announced!r} before it has no hunk")
        if (names := GIT.fullmatch(line)) and names[1] != names[2]:
            self._fail(f"{line!r} is about two files; a patch renames none")
        self.announced = line
        self.at += 1

    def _is_signed(self) -> bool:
        """Return whether only the version of git follows, as at the end of a mailed patch."""
        rest = [line for line in self.lines[self.at + 1 :] if line]
        return bool(self.changes) and len(rest) == 1 and SIGNED.fullmatch(rest[0]) is not None

    def _file(self) -> None:
        """Read the two names of a file; a hunk must follow."""
        source, target = self._name("--- "), self._name("+++ ")
        names = GIT.fullmatch(self.announced)
        if names and target != f"b/{names[1]}":
            self._fail(f"`+++ {target}` is about another file than {self.announced!r}", self.at - 1)
        if self.at == len(self.lines) or not self.lines[self.at].startswith("@@"):
            self._fail(f"`+++ {target}` has no hunk", self.at - 1)
        self.announced = ""
        self.changes.append(FileChange(source=source, target=target))

    def _name(self, mark: str) -> str:
        """Return the name in a header; a date may follow it after a tab."""
        line = self.lines[self.at] if self.at < len(self.lines) else ""
        if not line.startswith(mark):
            self._fail("`--- a/NAME` and `+++ b/NAME` belong together", min(self.at, len(self.lines) - 1))
        if line.endswith("\r"):
            self._fail("a carriage return ends the line; only lines of a file that has them may end so")
        self.at += 1
        return line.removeprefix(mark).partition("\t")[0]

    def _hunk(self, line: str) -> None:
        numbers = HUNK.fullmatch(line)
        if not numbers or not self.changes:
            self._fail(f"{line!r} is not the head of a hunk below the names of its file")
        head, hunks = self.at, self.changes[-1].hunks
        old_length, new_length = int(numbers[2] or 1), int(numbers[4] or 1)
        marked = self._body(head, old_length, new_length)
        start = int(numbers[1]) - bool(old_length)
        shift = sum(len(edit.new) - len(edit.old) for hunk in hunks for edit in hunk.edits)
        end = hunks[-1].start + len(hunks[-1].expected) if hunks else 0
        if start < end or start + shift != int(numbers[3]) - bool(new_length):
            self._fail(f"{line!r}: its line numbers do not follow from the hunks before it", head)
        expected = tuple(content for mark, content in marked if mark != "+")
        hunks.append(Hunk(start=start, expected=expected, edits=tuple(_edits(marked, start))))

    def _body(self, head: int, old: int, new: int) -> list[tuple[str, str]]:
        """Read the lines of a hunk as (mark, line), as many as its head counts."""
        marked: list[tuple[str, str]] = []
        self.at += 1
        while old > 0 or new > 0:
            line = self.lines[self.at] if self.at < len(self.lines) else None
            mark = (line or " ")[0]  # an empty line of context may have lost its blank
            if line is None or mark not in " +-" or (mark != "+" and not old) or (mark != "-" and not new):
                self._fail(f"{self.lines[head]!r} counts other lines than follow it", head)
            marked.append((mark, f"{line[1:]}\n"))
            old, new = old - (mark != "+"), new - (mark != "-")
            self.at += 1
            if self.at < len(self.lines) and self.lines[self.at].startswith(NO_NEWLINE):
                marked[-1] = (mark, line[1:])
                self.at += 1
        return marked

    def _fail(self, what: str, line: int | None = None) -> NoReturn:
        message = f"line {(self.at if line is None else line) + 1}: {what}"
        raise ValueError(message)


def _edits(marked: list[tuple[str, str]], start: int) -> list[Edit]:
    """Return the runs of changed lines of a hunk that begins after the first ``start`` lines."""
    edits: list[Edit] = []
    old: list[str] = []
    new: list[str] = []
    for mark, line in [*marked, (" ", "")]:
        if mark == "-":
            old.append(line)
        elif mark == "+":
            new.append(line)
        else:
            if old or new:
                edits.append(Edit(start=start, old=tuple(old), new=tuple(new)))
            start += len(old) + 1
            old, new = [], []
    return edits
