"""Apply unified diffs to TensorFlow's Python files exactly, or report the first line that differs.

Each patch is made against the official file, and several may change it: none has to know what the others insert.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tfwheel.wheel import unified_diff
from tfwheel.wheel.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from pathlib import Path

    from tfwheel.wheel.unified_diff import Edit, FileChange, Hunk

VERSION = "@VERSION@"  # in an added line: the version with its local label, for example 2.20.0+cu125.1
END_OF_FILE = "<end of file>"


@dataclass(frozen=True, kw_only=True)
class _PatchedFile:
    """An official file, line by line, and the edits of it so far, each with the patch that makes it."""

    name: str
    lines: list[str]
    edits: list[tuple[Edit, Path]] = field(default_factory=list)

    def written(self, version: str) -> bytes:
        """Return the file with all its edits; raise PatchError where two lines would become one."""
        result: list[str] = []
        position = 0
        for edit, _ in sorted(self.edits, key=lambda item: (item[0].start, item[0].end)):
            result += self.lines[position : edit.start]
            result += [line.replace(VERSION, version) for line in edit.new]
            position = edit.end
        result += self.lines[position:]
        if any(not line.endswith("\n") for line in result[:-1]):
            patches = ", ".join(dict.fromkeys(str(patch) for _, patch in self.edits))
            message = f"{patches}: {self.name} would have a line that ends without a newline and is not the last"
            raise PatchError(message)
        return "".join(result).encode()


def apply_folder(
    folder: Path, *, names: Container[str], read: Callable[[str], bytes], version: str, to_sources: bool = False
) -> dict[str, bytes]:
    """Apply every ``*.patch`` of a folder to the official files; return new contents by member name.

    ``names`` are the members of the base, ``read`` returns the bytes of one. Two patches may change one file in
    different places. Without a folder there are no changes. With ``to_sources`` the files are those of a custom-op
    project, and of any kind. Raises PatchError, which names patch, file, hunk and line,
    for a patch that is malformed, empty, for a file other than a Python file under ``tensorflow/``, that differs from
    the official file in any line (no fuzz, no offset), or that changes the lines that another one changes.
    """
    files: dict[str, _PatchedFile] = {}
    for patch in patches_of(folder):
        seen: set[str] = set()
        for number, change in enumerate(_parse(patch), 1):
            name = _member(change, f"{patch}, file {number}", names, to_sources=to_sources)
            if name in seen:
                message = f"{patch} has two parts about {name}"
                raise PatchError(message)
            seen.add(name)
            file = files.get(name) or _PatchedFile(name=name, lines=_lines(read(name), f"{patch}: {name}"))
            _apply(file, change.hunks, patch)
            files[name] = file
    return {name: file.written(version) for name, file in files.items()}


def patches_of(folder: Path) -> list[Path]:
    """Return the patches of a folder, sorted by name; raise PatchError for anything else in it."""
    if not folder.exists():
        return []
    if not folder.is_dir():
        message = f"{folder} is not a folder"
        raise PatchError(message, remedy="Make it a folder with the `*.patch` files of that version.")
    found = sorted(folder.iterdir())
    for path in found:
        if path.suffix != ".patch" or not path.is_file():
            message = f"{path} is not a patch"
            raise PatchError(message, remedy="Name it `*.patch` if it is one; that folder may hold nothing else.")
    return found


def read_text(patch: Path) -> str:
    """Read a patch with its line ends as they are; raise PatchError if it is not UTF-8."""
    try:
        return patch.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"{patch} is not UTF-8 text: {error}"
        raise PatchError(message) from error
    except OSError as error:
        message = f"{patch} cannot be read: {error.strerror}"
        raise PatchError(message, remedy="It must be a file that you may read.") from error


def _parse(patch: Path) -> list[FileChange]:
    text = read_text(patch)
    try:
        changes = unified_diff.parse(text)
    except ValueError as error:
        message = f"{patch}, {error}"
        raise PatchError(message) from error
    if not changes:
        message = f"{patch} is empty: it has no `--- a/NAME` line"
        raise PatchError(message)
    return changes


def _member(change: FileChange, where: str, names: Container[str], *, to_sources: bool) -> str:
    """Return the member that a part of a patch changes."""
    name = change.target.removeprefix("b/")
    if (change.source, change.target) != (f"a/{name}", f"b/{name}"):
        message = f"{where}: {change.source} -> {change.target} is not a change of one file (a/NAME, b/NAME)"
        raise PatchError(message, remedy="Patches change files here; they do not add, delete or rename any.")
    if to_sources:
        if name not in names:
            message = f"{where}: {name} is not in the project"
            raise PatchError(message)
        return name
    if not name.startswith("tensorflow/") or not name.endswith(".py") or ".." in name.split("/"):
        message = f"{where}: {name} is not a Python file under tensorflow/"
        raise PatchError(message, remedy="Only the source builder can change other files.")
    if name not in names:
        message = f"{where}: {name} is not in the official wheel"
        raise PatchError(message)
    return name


def _lines(data: bytes, where: str) -> list[str]:
    try:
        return list(io.StringIO(data.decode("utf-8")))  # unlike splitlines, only a newline ends a line
    except UnicodeDecodeError as error:
        message = f"{where}: the file is not UTF-8 text"
        raise PatchError(message) from error


def _apply(file: _PatchedFile, hunks: Iterable[Hunk], patch: Path) -> None:
    """Add the edits of a patch to a file, after a check of every line that it expects."""
    others = list(file.edits)
    for number, hunk in enumerate(hunks, 1):
        spot = f"{patch}: {file.name}, hunk {number}"
        _check_lines(file, hunk, spot, others)
        for edit in map(_smallest, hunk.edits):
            if not edit.old and not edit.new:
                continue
            if rival := next((path for other, path in others if _touch(edit, other)), None):
                message = f"{spot} changes line {edit.start + 1} of the official file, and so does {rival}"
                raise PatchError(message, remedy=f"Put both changes into one patch, {rival.name} for example.")
            file.edits.append((edit, patch))
    if len(file.edits) == len(others):
        message = f"{patch} does not change {file.name}"
        raise PatchError(message)


def _smallest(edit: Edit) -> Edit:
    """Return an edit without the lines at its beginning and end that it puts back."""
    old, new, start = list(edit.old), list(edit.new), edit.start
    while old and new and old[0] == new[0]:
        del old[0], new[0]
        start += 1
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return replace(edit, start=start, old=tuple(old), new=tuple(new))


def _touch(one: Edit, other: Edit) -> bool:
    """Return whether two edits change the same line, or insert at the same place."""
    return (one.start < other.end and other.start < one.end) or one.start == other.start


def _check_lines(file: _PatchedFile, hunk: Hunk, spot: str, others: Iterable[tuple[Edit, Path]]) -> None:
    found = file.lines[hunk.start : hunk.start + len(hunk.expected)]
    if hunk.start > len(file.lines):
        message = f"{spot} does not apply: the file has {len(file.lines)} lines, the patch expects {hunk.start}"
        raise PatchError(message)
    pairs = itertools.zip_longest(found, hunk.expected, fillvalue=END_OF_FILE)
    for number, (ours, theirs) in enumerate(pairs, hunk.start + 1):
        if ours != theirs:
            message = f"{spot} does not apply: line {number} is {_shown(ours)}, the patch expects {_shown(theirs)}"
            if writer := next((path for edit, path in others if theirs in edit.new), None):
                message += f", which {writer.name} writes"
                remedy = "Make the patch against the official file: each patch applies to that one, not to the others."
                raise PatchError(message, remedy=remedy)
            raise PatchError(message)


def _shown(line: str) -> str:
    """Return a line for a message; a missing newline and a carriage return are to be seen."""
    return repr(line.removesuffix("\n")) + ("" if line.endswith("\n") or line == END_OF_FILE else " without a newline")
