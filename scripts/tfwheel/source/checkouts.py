"""Checks commits of repositories out, with their submodules, and patches them: trees that others wrote."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.source.errors import CheckoutError
from tfwheel.system import git, urls
from tfwheel.system.errors import CommandError
from tfwheel.wheel import patches
from tfwheel.wheel.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Callable

# git asks nobody: a build has no keyboard. Credentials come from git's own helpers, keys and configuration.
# No file of this machine decides bytes, and git-lfs fetches its files; messages are in English, to be read below.
UNATTENDED: dict[str, str | None] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TEMPLATE_DIR": "",
    "GIT_LFS_SKIP_SMUDGE": None,
    "LC_ALL": "C",
}
SETTINGS = ("autocrlf=false", "eol=lf", "attributesFile=", "symlinks=true", "hooksPath=/dev/null")
SAME_BYTES = tuple(word for setting in SETTINGS for word in ("-c", f"core.{setting}"))  # on every machine
ACCESS = "git must be able to fetch it without asking: check its address, and the credentials that git has for it."
# What git-lfs leaves in place of a file where it is not installed (git-lfs, docs/spec.md).
POINTER = b"version https://git-lfs.github.com/spec/v1"
LINK = re.compile(r"(?:^|\n|\0)160000 [0-9a-f]+ 0\t([^\0]+)")  # a submodule, as `git ls-files --stage -z` has it
FAULT = re.compile(r"^(fatal|error|remote|ssh): |Permission denied|Host key verification failed")  # of git and of ssh
TREE_REMEDY = "Make it again, against the tree of that commit or folder: every line of a patch must be there."
UNCHANGED = "@VERSION@"  # patches may name the version of a wheel; sources have none


def check_out(owner: str, url: str, commit: str, folder: Path) -> None:
    """Check a commit of a repository out, with its submodules, without its history.

    ``owner`` says in messages whose tree it is. Raises CheckoutError if git cannot fetch all of it, or it has links out
    of it. The remote is called origin, so that the submodules' relative addresses lead from it.
    """
    try:
        _git("init", "--quiet", "--object-format=sha1", at=folder)
        _git("remote", "add", "origin", url, at=folder)
        _git("fetch", "--quiet", "--depth", "1", "origin", commit, at=folder)
        _git("-c", "advice.detachedHead=false", "checkout", "--quiet", commit, at=folder)
    except CommandError as error:
        message = f"git cannot fetch {commit} of {url} for {owner}: {_said(error)}"
        raise CheckoutError(message, remedy=ACCESS) from error
    _fetch_submodules(owner, url, folder)
    refuse_links_outside(owner, folder)
    _refuse_pointers(owner, folder)
    for path in list(folder.rglob(".git")):  # those of submodules are files
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _git(*words: str, at: Path) -> str:
    return git.run(*SAME_BYTES, *words, at=at, env=UNATTENDED)


def _fetch_submodules(owner: str, url: str, folder: Path) -> None:
    """Fetch the submodules of a checkout, and theirs; CheckoutError names the first that cannot be fetched."""
    if not (folder / ".gitmodules").is_file():
        return
    what = f"the submodules of {url}"
    try:
        _git("submodule", "--quiet", "init", at=folder)
        paths = LINK.findall(_git("ls-files", "--stage", "-z", at=folder))
        names = {
            path: key.removesuffix(".path")
            for key, path in _settings(folder, "--file", ".gitmodules")
            if key.endswith(".path")
        }
        addresses = dict(_settings(folder, "--local"))  # init wrote them there, relative ones made whole
        for path in paths:
            address = urls.masked(addresses.get(f"{names.get(path)}.url", "no address"))
            what = f"the submodule {path} of {url} from {address}"
            _git("submodule", "--quiet", "update", "--depth", "1", "--", path, at=folder)
            if (folder / path / ".git").exists():
                _fetch_submodules(owner, address, folder / path)
    except CommandError as error:
        message = f"git cannot fetch {what} for {owner}: {_said(error).replace(f'{folder}/', '')}"
        raise CheckoutError(message, remedy=f"Of each submodule in .gitmodules: {ACCESS}") from error


def _settings(folder: Path, *where: str) -> list[tuple[str, str]]:
    """Return each key of a file of git's, with its value."""
    rows = _git("config", *where, "--null", "--list", at=folder).split("\0")
    return [(key, value) for key, _, value in (row.partition("\n") for row in rows) if value]


def _said(error: CommandError) -> str:
    """Return what git said of its failure, without passwords: the lines that name a fault, or the last one."""
    lines = error.output.strip().splitlines() or [error.message.splitlines()[0]]
    faults = [line for line in lines if FAULT.search(line)] or lines[-1:]
    return urls.masked("; ".join(dict.fromkeys(faults)))


def _nothing(_folder: str, _names: list[str]) -> set[str]:
    return set()


def refuse_links_outside(owner: str, folder: Path, *, without: Callable[[str, list[str]], set[str]] = _nothing) -> None:
    """Raise CheckoutError for a symbolic link that leads out of a tree: its target would be published.

    A link with an absolute path, or one that leaves the project and comes back, leads out of every copy, and one in a
    circle leads nowhere. One inside to a file that is not there harms nobody. ``without`` is the ``ignore`` of
    ``shutil.copytree`` with which the folder is copied.
    """
    whole = folder.resolve()
    for top, folders, names in os.walk(whole):
        skipped = without(str(folder / Path(top).relative_to(whole)), [*folders, *names])
        folders[:] = [one for one in folders if one not in skipped]
        for path in (Path(top, one) for one in [*folders, *names] if one not in skipped):
            if path.is_symlink() and not _stays(path, whole):
                message = f"{owner} has a symbolic link that leads out of it, or nowhere: "
                message += str(path.relative_to(whole))
                raise CheckoutError(message, remedy="Put what it leads to in its place.")


def _stays(link: Path, whole: Path) -> bool:
    """Return whether a link is inside a folder at each step of its way; links on that way are looked at themselves."""
    try:
        link.stat()
    except OSError as error:
        if error.errno != errno.ENOENT:  # a circle
            return False
    here = link.parent
    try:
        for part in link.readlink().parts:
            here = (here / part).resolve()
            if here.is_symlink() or not here.is_relative_to(whole):
                return False
    except (OSError, RuntimeError):  # a circle behind what is not there; since Python 3.13 it stays a link instead
        return False
    return not link.parent.is_relative_to(here)  # a folder that is in itself: whoever follows it never ends


def _refuse_pointers(owner: str, folder: Path) -> None:
    """Raise CheckoutError for a file that git-lfs would have to fetch, and did not."""
    for path in (one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()):
        with path.open("rb") as stream:
            if stream.read(len(POINTER)) == POINTER:
                message = f"{owner} has {path.relative_to(folder)} as a pointer of git-lfs alone"
                raise CheckoutError(message, remedy="Install git-lfs, run `git lfs install`, and build again.")


def patch(folder: Path, tree: Path) -> None:
    """Apply the patches of a folder to a tree, exactly; raise PatchError."""
    names = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() and not path.is_symlink()}
    try:
        changed = patches.apply_folder(
            folder, names=names, read=lambda name: (tree / name).read_bytes(), version=UNCHANGED, to_sources=True
        )
    except PatchError as error:
        usual = error.remedy == PatchError.default_remedy  # it is about the patches of a finished wheel
        raise PatchError(error.message, remedy=TREE_REMEDY if usual else error.remedy) from error
    for name, data in changed.items():
        (tree / name).chmod((tree / name).stat().st_mode | stat.S_IWUSR)
        (tree / name).write_bytes(data)
