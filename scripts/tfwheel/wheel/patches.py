"""Apply unified diffs to TensorFlow's Python files exactly, or report the first line that differs."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from tfwheel.wheel.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from pathlib import Path

    from unidiff.patch import Hunk, PatchedFile

VERSION = "@VERSION@"  # in an added line: the version with its local label, for example 2.20.0+cu125.1
BESIDE_HUNKS = ("--- ", "+++ ", "-- \n")  # file headers, and the signature of a mailed patch
END_OF_FILE = "<end of file>"


def apply_folder(
    folder: Path, *, names: Container[str], read: Callable[[str], bytes], version: str
) -> dict[str, bytes]:
    """Apply every ``*.patch`` of a folder, sorted by name; return new contents by member name.

    ``names`` are the members of the base, ``read`` returns the bytes of one. A later patch applies to the result of an
    earlier one. Without a folder there are no changes. Raises PatchError, which names patch, file, hunk and line, for a
    patch that is malformed, empty, for a file other than a Python file under ``tensorflow/``, or that differs from the
    file in any line: no fuzz, no offset.
    """
    files: dict[str, bytes] = {}
    for patch in sorted(folder.iterdir()) if folder.is_dir() else ():
        for number, change in enumerate(_parse(patch), 1):
            name = _member(change, f"{patch}, file {number}", names)
            old = files[name] if name in files else read(name)
            files[name] = _patched(old, change, f"{patch}: {name}", version)
            if files[name] == old:
                message = f"{patch} does not change {name}"
                raise PatchError(message)
    return files


def _parse(patch: Path) -> PatchSet:
    """Read a patch; raise PatchError for a line that looks like a change and belongs to no hunk."""
    if patch.suffix != ".patch" or not patch.is_file():
        message = f"{patch} is not a patch"
        raise PatchError(message, remedy="Name it `*.patch` if it is one; that folder may hold nothing else.")
    try:
        text = patch.read_bytes().decode("utf-8")
        changes = PatchSet(text)
    except (UnidiffParseError, UnicodeDecodeError) as error:
        message = f"{patch} is not a unified diff: {error}"
        raise PatchError(message) from error
    if not changes:
        message = f"{patch} is empty"
        raise PatchError(message)
    inside = {line.diff_line_no for change in changes for hunk in change for line in hunk}
    numbered = enumerate(io.StringIO(text), 1)
    body = itertools.dropwhile(lambda item: not item[1].startswith("@@"), numbered)
    for number, line in body:
        if line[0] in "+- " and number not in inside and not line.startswith(BESIDE_HUNKS):
            message = f"{patch}, line {number} belongs to no hunk: {line.rstrip()!r}"
            raise PatchError(
                message, remedy="The numbers in the `@@` line before it do not count it; make the patch again."
            )
    return changes


def _member(change: PatchedFile, where: str, names: Container[str]) -> str:
    """Return the member that a part of a patch changes."""
    name = change.target_file.removeprefix("b/")
    if (change.source_file, change.target_file) != (f"a/{name}", f"b/{name}"):
        message = f"{where}: {change.source_file} -> {change.target_file} is not a change of one file (a/NAME, b/NAME)"
        raise PatchError(message, remedy="Overlay patches change files; they do not add, delete or rename any.")
    if not name.startswith("tensorflow/") or not name.endswith(".py") or ".." in name.split("/"):
        message = f"{where}: {name} is not a Python file under tensorflow/"
        raise PatchError(message, remedy="Only the source builder can change other files.")
    if name not in names:
        message = f"{where}: {name} is not in the official wheel"
        raise PatchError(message)
    if change.is_binary_file or change.source_mode != change.target_mode or not change:
        message = f"{where}: {name} has no hunk, or changes more than text"
        raise PatchError(message)
    return name


def _patched(old: bytes, change: PatchedFile, where: str, version: str) -> bytes:
    try:
        lines = list(io.StringIO(old.decode("utf-8")))
    except UnicodeDecodeError as error:
        message = f"{where}: the file is not UTF-8 text"
        raise PatchError(message) from error
    result: list[str] = []
    position = 0
    for number, hunk in enumerate(change, 1):
        before, after = _sides(hunk, version)
        start = hunk.source_start - bool(hunk.source_length)
        spot = f"{where}, hunk {number}"
        _check_lines(lines[start : start + len(before)], before, start, spot)
        result += lines[position:start]
        if start < position or len(result) != hunk.target_start - bool(hunk.target_length):
            message = f"{spot}: its line numbers do not follow from the hunks before it"
            raise PatchError(message)
        result += after
        position = start + len(before)
    return "".join(result + lines[position:]).encode()


def _sides(hunk: Hunk, version: str) -> tuple[list[str], list[str]]:
    """Return the lines a hunk expects and the lines that replace them."""
    before: list[str] = []
    after: list[str] = []
    last: list[list[str]] = []
    for line in hunk:
        if line.is_context:
            last = [before, after]
        elif line.is_removed:
            last = [before]
        elif line.is_added:
            last = [after]
        else:  # "\ No newline at end of file" is about the line before; a blank line after a hunk means nothing
            for side in last if line.line_type == "\\" else ():
                side[-1] = side[-1].removesuffix("\n")
            continue
        for side in last:
            side.append(line.value.replace(VERSION, version) if line.is_added else line.value)
    return before, after


def _check_lines(found: list[str], expected: list[str], start: int, spot: str) -> None:
    for number, (ours, theirs) in enumerate(itertools.zip_longest(found, expected, fillvalue=END_OF_FILE), start + 1):
        if ours != theirs:
            message = (
                f"{spot} does not apply: line {number} is {ours.rstrip()!r}, the patch expects {theirs.rstrip()!r}"
            )
            raise PatchError(message)
