"""Hears from git what changed, and speaks to the CI that runs this program: outputs of a step, the summary of a job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.system.errors import ChangesUnknownError, CommandError, NotInCiError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://docs.github.com/en/actions/reference/workflow-commands
OUTPUT, SUMMARY = "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"


def changed_files(checkout: Path, *, since: str) -> list[str]:
    """The files that differ from where this branch left ``since``, as paths from the root, sorted.

    What is not committed counts too, and a file that was renamed under both names. Raises ChangesUnknownError when
    git does not know the revision or the point where the branches part.
    """
    git = ["git", "-C", str(checkout)]
    try:
        commit = run([*git, "rev-parse", "--verify", "--end-of-options", f"{since}^{{commit}}"]).split()[-1]
        listed = run([*git, "diff", "--merge-base", "--name-only", "--no-renames", "-z", commit])
        listed += run([*git, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/"])
    except CommandError as error:
        message = f"which files changed since `{since}`? {(error.output or error.message).strip()}"
        raise ChangesUnknownError(message) from error
    # A warning of git's would stand before the first name, on lines of its own.
    return sorted({name.rpartition("\n")[2] for name in listed.split("\0") if name})


def set_outputs(values: Mapping[str, str]) -> None:
    """Add outputs of this step, one line each, to the file that $GITHUB_OUTPUT names; NotInCiError without one."""
    name = os.environ.get(OUTPUT)
    if not name:
        message = f"--github-output writes to the file that ${OUTPUT} names, and that is not set"
        raise NotInCiError(message)
    with Path(name).open("a", encoding="utf-8") as stream:
        stream.writelines(f"{key}={value}\n" for key, value in values.items())


def add_to_summary(markdown: str) -> bool:
    """Add to the summary of this job, where CI takes one ($GITHUB_STEP_SUMMARY); returns whether it does."""
    name = os.environ.get(SUMMARY)
    if name:
        with Path(name).open("a", encoding="utf-8") as stream:
            stream.write(markdown)
    return bool(name)
