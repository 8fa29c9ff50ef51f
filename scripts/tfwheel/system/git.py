"""Start git (no other module does) on the repository that is named, whatever the environment says of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.system import processes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What binds git to one repository, as a hook of git has it set (`git rev-parse --local-env-vars`). GIT_CONFIG_COUNT and
# GIT_CONFIG_PARAMETERS stay: credentials come by them.
OF_A_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


def run(*words: str | Path, at: str | Path | None = None, env: Mapping[str, str | None] | None = None) -> str:
    """Run git with these words, in the folder ``at``; return its output.

    ``env`` is added to the environment; None takes a variable out of it. Raises CommandError.
    """
    place = ["-C", at] if at else []
    return processes.run(["git", *place, *words], env={**dict.fromkeys(OF_A_REPOSITORY), **(env or {})})
