"""Fetches the sources of a custom-op project: a folder of the configuration or a commit of a repository, patched."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.build.errors import OpsSourceError
from tfwheel.config import ops_projects
from tfwheel.system import digests, files, git, kept_folders, urls
from tfwheel.system.errors import CommandError, DiskFullError
from tfwheel.wheel import patches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfwheel.config.ops_projects import OpsProject

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
TESTS = "Correct `tests` of that project: paths of Python programs."
UNCHANGED = "@VERSION@"  # patches may name the version of a wheel; sources have none


def fetch(project: OpsProject, settings: Path, cache: Path) -> Path:
    """Return the folder of a project, or for one that is a wheel, that file; a repository is fetched once.

    Folders of the configuration are used where they are, unless they are patched: nothing may write into them.

    Raises OpsSourceError if git cannot fetch the commit, the folder is not in it, or its files cannot be used, and
    PatchError.
    """
    with naming_files(project):
        if project.path:
            tree = settings / project.path
            refuse_links_outside(project.name, tree, without=ops_projects.unseen(project, tree))
            if not project.patches:
                return _inside(project, settings / project.path)

        def make(folder: Path) -> None:
            if project.git and project.commit:
                _check_out(project.name, project.git, project.commit, folder)
            elif project.path:
                tree = settings / project.path
                unseen = ops_projects.unseen(project, tree)
                shutil.copytree(tree, folder, symlinks=True, dirs_exist_ok=True, ignore=unseen)
            if project.patches:
                _patch(settings / project.patches, folder)

        facts = ops_projects.identity(project, settings)
        key = digests.of_facts(git=project.git, tree=facts["tree"], patches=facts["patches"])
        busy = f"another run fetches the sources of {project.name}"
        kept = kept_folders.keep(cache / "ops-sources" / key, make, cache=cache, busy=busy)
        return _inside(project, kept)


@contextmanager
def naming_files(project: OpsProject) -> Iterator[None]:
    """Turn an error of the file system into an OpsSourceError with its path, or a DiskFullError."""
    try:
        yield
    except shutil.Error as error:
        source, copy, reason = error.args[0][0]
        if any(os.strerror(number) in reason for number in files.FULL):
            message = f"no space left while writing {copy}"
            raise DiskFullError(message) from error
        message = f"the custom-op project `{project.name}`: {source} cannot be copied: {reason}"
        raise OpsSourceError(message) from error
    except OSError as error:
        if error.errno in files.FULL:
            raise files.failure(error, error.filename) from error
        message = f"the custom-op project `{project.name}`: {error.strerror}: {error.filename}"
        raise OpsSourceError(message) from error


def _inside(project: OpsProject, tree: Path) -> Path:
    found = tree / project.folder
    if not found.exists():
        message = f"the custom-op project `{project.name}` has no folder {project.folder}"
        raise OpsSourceError(message, remedy="Correct `folder` of that project in build_config/ops.toml.")
    return found


def _check_out(name: str, url: str, commit: str, folder: Path) -> None:
    """Check a commit of a repository out, with its submodules, without its history.

    The remote is called origin, so that the submodules' relative addresses lead from it.
    """
    try:
        _git("init", "--quiet", "--object-format=sha1", at=folder)
        _git("remote", "add", "origin", url, at=folder)
        _git("fetch", "--quiet", "--depth", "1", "origin", commit, at=folder)
        _git("-c", "advice.detachedHead=false", "checkout", "--quiet", commit, at=folder)
    except CommandError as error:
        message = f"git cannot fetch {commit} of {url} for the custom ops `{name}`: {_said(error)}"
        raise OpsSourceError(message, remedy=ACCESS) from error
    _fetch_submodules(name, url, folder)
    refuse_links_outside(name, folder)
    _refuse_pointers(name, folder)
    for path in list(folder.rglob(".git")):  # those of submodules are files
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _git(*words: str, at: Path) -> str:
    return git.run(*SAME_BYTES, *words, at=at, env=UNATTENDED)


def _fetch_submodules(name: str, url: str, folder: Path) -> None:
    """Fetch the submodules of a checkout, and theirs; OpsSourceError names the first that cannot be fetched."""
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
                _fetch_submodules(name, address, folder / path)
    except CommandError as error:
        message = f"git cannot fetch {what} for the custom ops `{name}`: {_said(error).replace(f'{folder}/', '')}"
        raise OpsSourceError(message, remedy=f"Of each submodule in .gitmodules: {ACCESS}") from error


def _settings(folder: Path, *where: str) -> list[tuple[str, str]]:
    """Return each key of a file of git's, with its value."""
    rows = _git("config", *where, "--null", "--list", at=folder).split("\0")
    return [(key, value) for key, _, value in (row.partition("\n") for row in rows) if value]


def _said(error: CommandError) -> str:
    """Return what git said of its failure, without passwords: the lines that name a fault, or the last one."""
    lines = error.output.strip().splitlines() or [error.message.splitlines()[0]]
    faults = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:]
    return urls.masked("; ".join(dict.fromkeys(faults)))


def _nothing(_folder: str, _names: list[str]) -> set[str]:
    return set()


def refuse_links_outside(name: str, folder: Path, *, without: Callable[[str, list[str]], set[str]] = _nothing) -> None:
    """Raise OpsSourceError for a symbolic link that leads out of a project: its target would be published.

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
                message = f"the custom-op project `{name}` has a symbolic link that leads out of it, or nowhere: "
                message += str(path.relative_to(whole))
                raise OpsSourceError(message, remedy="Put what it leads to in its place.")


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


def _refuse_pointers(name: str, folder: Path) -> None:
    """Raise OpsSourceError for a file that git-lfs would have to fetch, and did not."""
    for path in (one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()):
        with path.open("rb") as stream:
            if stream.read(len(POINTER)) == POINTER:
                message = f"the custom-op project `{name}` has {path.relative_to(folder)} as a pointer of git-lfs alone"
                raise OpsSourceError(message, remedy="Install git-lfs, run `git lfs install`, and build again.")


def _patch(folder: Path, tree: Path) -> None:
    names = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() and not path.is_symlink()}
    changed = patches.apply_folder(
        folder, names=names, read=lambda name: (tree / name).read_bytes(), version=UNCHANGED, to_sources=True
    )
    for name, data in changed.items():
        (tree / name).chmod((tree / name).stat().st_mode | stat.S_IWUSR)
        (tree / name).write_bytes(data)


def tests(project: OpsProject, tree: Path, settings: Path) -> list[Path]:
    """Return the test programs of a project, of its tree or of the configuration; OpsSourceError for one that is not.

    A pattern may name several.
    """
    found: list[Path] = []
    for pattern in project.tests:
        try:
            folders = [folder for folder in (tree, settings) if folder.is_dir()]
            places = [sorted(filter(Path.is_file, folder.glob(pattern))) for folder in folders]
        except (OSError, ValueError, NotImplementedError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            message = f"the custom-op project `{project.name}` has a pattern in `tests` that can name no file, "
            message += f"{pattern}: {reason}"
            raise OpsSourceError(message, remedy=TESTS) from error
        if not any(places):
            message = f"the custom-op project `{project.name}` has no test {pattern}"
            raise OpsSourceError(message, remedy=TESTS)
        found += next(filter(None, places))
    return found
