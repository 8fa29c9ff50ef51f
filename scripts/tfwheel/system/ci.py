"""List the files that changed (git), and write step outputs and job summaries for GitHub Actions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.system import files, git
from tfwheel.system.errors import ChangesUnknownError, CommandError, NotInCiError

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://docs.github.com/en/actions/reference/workflow-commands
OUTPUT, SUMMARY = "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"


def changed_files(checkout: Path, *, since: str) -> list[str]:
    """Return the files that differ from the merge base with ``since``, as paths from the root, sorted.

    Uncommitted and untracked files count too; a renamed file counts under both names. Raises ChangesUnknownError when
    git does not know the revision or finds no merge base.
    """
    try:
        commit = git.run("rev-parse", "--verify", "--end-of-options", f"{since}^{{commit}}", at=checkout).split()[-1]
        listed = git.run("diff", "--merge-base", "--name-only", "--no-renames", "-z", commit, at=checkout)
        listed += git.run("ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/", at=checkout)
    except CommandError as error:
        message = f"which files changed since `{since}`? {(error.output or error.message).strip()}"
        raise ChangesUnknownError(message) from error
    # git may print warnings, on lines of their own, before the first name.
    return sorted({name.rpartition("\n")[2] for name in listed.split("\0") if name})


def set_outputs(values: Mapping[str, str]) -> None:
    """Append outputs of this step, one line each, to the file $GITHUB_OUTPUT; NotInCiError where it is not set."""
    name = os.environ.get(OUTPUT)
    if not name:
        message = f"--github-output needs the variable ${OUTPUT}, which is not set"
        raise NotInCiError(message)
    _append(OUTPUT, name, "".join(f"{key}={value}\n" for key, value in values.items()))


def add_to_summary(markdown: str) -> bool:
    """Append to the summary of this job ($GITHUB_STEP_SUMMARY); return whether there is one."""
    name = os.environ.get(SUMMARY)
    if name:
        _append(SUMMARY, name, markdown)
    return bool(name)


def _append(variable: str, name: str, text: str) -> None:
    """Append to a file that CI names in a variable; FileAccessError or DiskFullError, which say so."""
    try:
        with Path(name).open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise files.failure(error, f"the file that ${variable} names, {name}") from error
