"""Opens or updates a pull request with a change, or pushes the change to the main branch.

All of it happens in a temporary clone, so that the caller's checkout is not touched. The token goes to git through the
environment (``GIT_CONFIG_*``, git-config(1)) and never into arguments or logs.
"""

from __future__ import annotations

import os
import shutil
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tfwheel.errors import PublishError, UsageError
from tfwheel.system import console, git, scratch
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tfwheel.publish.github_repository import Repository

MAIN = "main"
TRIES = 2  # per push
# Author of commits by CI, as GitHub shows it; if git has a user configured, that one is used.
AUTHOR = {"NAME": "github-actions[bot]", "EMAIL": "41898282+github-actions[bot]@users.noreply.github.com"}
MOVED = ("[rejected]", "[remote rejected]", "stale info", "cannot lock ref")


@dataclass(frozen=True, kw_only=True)
class ProposedChange:
    """A change to files of the main branch; ``branch`` holds it until it is merged.

    ``apply`` receives a fresh checkout of the main branch, changes it, and returns the paths that may have changed.
    """

    branch: str
    title: str
    body: str
    apply: Callable[[Path], Iterable[str]]


def propose(
    change: ProposedChange, *, repository: Repository, remote: str, push: bool = False, base: str = MAIN
) -> str:
    """Open or update a pull request with a change for the branch ``base`` of ``remote``; returns a line about it.

    With ``push`` the change is pushed to ``base`` instead. Idempotent. Raises PublishError when git fails or when the
    change and the branch contradict each other, and HostAnswerError when the API does not answer.
    """
    environment = _environment(remote, repository.api.token)
    try:
        with scratch.folder("proposal") as folder:
            tree = folder / "tree"
            if not _push(change, tree, remote, base=base, push=push, environment=environment):
                return f"no change: {base} has it already"
    except CommandError as error:
        said = (error.output or error.message).strip().replace(repository.api.token or "\0", "***")
        message = f"git could not bring `{change.title}` to {remote}: {said}"
        raise PublishError(message) from error
    if push:
        return f"pushed to {base}: {change.title}"
    pull = repository.propose(branch=change.branch, base=base, title=change.title, body=change.body)
    return f"proposed as pull request {pull.number}: {pull.html_url}"


def _push(
    change: ProposedChange, tree: Path, remote: str, *, base: str, push: bool, environment: dict[str, str]
) -> bool:
    """Clone, change, commit and push, and retry once if a branch moved meanwhile; False if nothing changes."""
    for attempt in range(TRIES):
        shutil.rmtree(tree, ignore_errors=True)
        git.run("clone", "-q", "--depth=1", "--no-tags", "--branch", base, remote, tree, env=environment)
        clone = _Clone(tree=tree, environment=environment)
        if not clone.commit(change):
            return False
        try:
            if push:
                clone.push(base)
            else:
                clone.replace(change.branch)
        except CommandError as error:
            if attempt + 1 == TRIES or not any(sign in error.output for sign in MOVED):
                raise
            console.say(f"  {base if push else change.branch} moved meanwhile; trying once more")
        else:
            break
    return True


@dataclass(frozen=True, kw_only=True)
class _Clone:
    tree: Path
    environment: dict[str, str]

    def __call__(self, *words: str) -> str:
        return git.run(*words, at=self.tree, env=self.environment)

    def commit(self, change: ProposedChange) -> bool:
        """Commit the change; False if nothing changed."""
        paths = sorted(change.apply(self.tree))
        if paths:
            self("add", "--all", "--", *paths)
        if not self("diff", "--cached", "--name-only"):
            return False
        git.run("commit", "-q", "-m", change.title, at=self.tree, env=self.environment | self._author())
        return True

    def push(self, branch: str) -> None:
        """Push the commit to a branch; fails if the branch moved since it was cloned."""
        self("push", "-q", "origin", f"HEAD:refs/heads/{branch}")

    def replace(self, branch: str) -> None:
        """Set a branch to exactly this commit, unless it already has the same files."""
        there = "".join(self("ls-remote", "-q", "origin", f"refs/heads/{branch}").split()[:1])
        if there:
            self("fetch", "-q", "--depth=1", "origin", f"refs/heads/{branch}")
            if not self("diff", "--name-only", "FETCH_HEAD", "HEAD"):
                return
        lease = f"--force-with-lease=refs/heads/{branch}:{there}"
        self("push", "-q", lease, "origin", f"HEAD:refs/heads/{branch}")

    def _author(self) -> dict[str, str]:
        try:
            self("config", "user.email")
        except CommandError:
            return {f"GIT_{role}_{fact}": value for role in ("AUTHOR", "COMMITTER") for fact, value in AUTHOR.items()}
        return {}


def _environment(remote: str, token: str | None) -> dict[str, str]:
    """Return the variables that let git push without a prompt; existing ``GIT_CONFIG_*`` settings are kept."""
    found = {"GIT_TERMINAL_PROMPT": "0"}
    parts = urlsplit(remote)
    if not token or parts.scheme not in ("http", "https"):
        return found
    number = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    word = b64encode(f"x-access-token:{token}".encode()).decode()
    return found | {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"http.{parts.scheme}://{parts.netloc}/.extraheader",
        f"GIT_CONFIG_VALUE_{number}": f"Authorization: Basic {word}",
    }


# --- changes made in a checkout --------------------------------------------------------------------------


def copied(root: Path, paths: Sequence[str]) -> Callable[[Path], list[str]]:
    """Return a ``ProposedChange.apply`` that copies files from the checkout ``root``; a folder means all its files.

    Raises UsageError for a path that git does not know there. ``apply`` raises PublishError for a file that the main
    branch has changed since that checkout: neither change is lost.
    """
    try:
        options = ["--cached", "--others", "--exclude-standard", "--error-unmatch"]
        listed = git.run("ls-files", "-z", *options, "--", *paths, at=root)
    except CommandError as error:
        message = f"{', '.join(paths)}: not all of these are files of {root}: {error.output.strip()}"
        raise UsageError(message) from error
    names = sorted({name for name in listed.split("\0") if name})

    def apply(tree: Path) -> list[str]:
        return [name for name in names if _copy(root, tree, name)]

    return apply


def _copy(root: Path, tree: Path, name: str) -> bool:
    """Copy a file, or its deletion, from the checkout to a tree; returns whether that changed the tree."""
    here, there = (path.read_bytes() if path.is_file() else None for path in (root / name, tree / name))
    if here == there:
        return False
    if _object(root, name) != _object(tree, name):
        message = f"{name} was changed here and, since this checkout, on the main branch too"
        raise PublishError(message, remedy="Bring the checkout up to date, make the change again, and propose that.")
    if here is None:
        (tree / name).unlink()
    else:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, tree / name)
    return True


def _object(tree: Path, name: str) -> str:
    """Return the git object of a name in HEAD of a tree; empty if there is none."""
    return git.run("ls-tree", "--object-only", "HEAD", "--", name, at=tree).strip()
