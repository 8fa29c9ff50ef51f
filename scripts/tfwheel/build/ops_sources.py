"""Fetches the sources of a custom-op project: a folder of the configuration or a commit of a repository, patched."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.build.errors import OpsSourceError
from tfwheel.config import ops_projects
from tfwheel.system import digests, files, git, kept_folders
from tfwheel.system.errors import CommandError, DiskFullError
from tfwheel.wheel import patches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.config.ops_projects import OpsProject

# git asks nobody: a build has no keyboard. Credentials come from git's own helpers, keys and configuration.
UNATTENDED = {"GIT_TERMINAL_PROMPT": "0"}
SAME_BYTES = ("-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.attributesFile=")  # on every machine
ACCESS = "git must be able to fetch it without asking: check its address, and the credentials that git has for it."
# What git-lfs leaves in place of a file where it is not installed (git-lfs, docs/spec.md).
POINTER = b"version https://git-lfs.github.com/spec/v1"
UNCHANGED = "@VERSION@"  # patches may name the version of a wheel; sources have none


def fetch(project: OpsProject, settings: Path, cache: Path) -> Path:
    """Return the folder of a project, or for one that is a wheel, that file; a repository is fetched once.

    Folders of the configuration are used where they are, unless they are patched: nothing may write into them.

    Raises OpsSourceError if git cannot fetch the commit, the folder is not in it, or its files cannot be used, and
    PatchError.
    """
    with naming_files(project):
        if project.path:
            refuse_links_outside(project.name, settings / project.path)
            if not project.patches:
                return _inside(project, settings / project.path)

        def make(folder: Path) -> None:
            if project.git and project.commit:
                _check_out(project.name, project.git, project.commit, folder)
            elif project.path:
                shutil.copytree(
                    settings / project.path, folder, symlinks=True, dirs_exist_ok=True, ignore=digests.ignored
                )
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
        git.run("init", "--quiet", folder, env=UNATTENDED)
        git.run("remote", "add", "origin", url, at=folder, env=UNATTENDED)
        git.run("fetch", "--quiet", "--depth", "1", "origin", commit, at=folder, env=UNATTENDED)
        git.run(
            "-c", "advice.detachedHead=false", *SAME_BYTES, "checkout", "--quiet", commit, at=folder, env=UNATTENDED
        )
    except CommandError as error:
        message = f"git cannot fetch {commit} of {url} for the custom ops `{name}`: {_said(error)}"
        raise OpsSourceError(message, remedy=ACCESS) from error
    try:
        if (folder / ".gitmodules").is_file():
            words = ("submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1")
            git.run(*SAME_BYTES, *words, at=folder, env=UNATTENDED)
    except CommandError as error:
        message = f"git cannot fetch the submodules of {url} for the custom ops `{name}`: {_said(error)}"
        raise OpsSourceError(message, remedy=f"Of each submodule in .gitmodules: {ACCESS}") from error
    refuse_links_outside(name, folder)
    _refuse_pointers(name, folder)
    for path in list(folder.rglob(".git")):  # those of submodules are files
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _said(error: CommandError) -> str:
    """Return what git said of its failure: the lines that name a fault, or the last one."""
    lines = error.output.strip().splitlines() or [error.message.splitlines()[0]]
    return "; ".join([line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:])


def refuse_links_outside(name: str, folder: Path) -> None:
    """Raise OpsSourceError for a symbolic link that leads out of a project: its target would be published.

    A link with an absolute path leads out of every copy, and one in a circle leads nowhere.
    One inside to a file that is not there harms nobody.
    """
    for path in (Path(top, one) for top, folders, names in os.walk(folder) for one in [*folders, *names]):
        if path.is_symlink() and not _stays(path, folder):
            message = f"the custom-op project `{name}` has a symbolic link that leads out of it, or nowhere: "
            message += str(path.relative_to(folder))
            raise OpsSourceError(message, remedy="Put what it leads to in its place.")


def _stays(link: Path, folder: Path) -> bool:
    try:
        link.stat()
    except OSError as error:
        if error.errno != errno.ENOENT:  # a circle
            return False
    return not link.readlink().is_absolute() and link.resolve().is_relative_to(folder.resolve())


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
        (tree / name).write_bytes(data)


def tests(project: OpsProject, tree: Path, settings: Path) -> list[Path]:
    """Return the test programs of a project, of its tree or of the configuration; OpsSourceError for one that is not.

    A pattern may name several.
    """
    found: list[Path] = []
    for pattern in project.tests:
        places = (folder.glob(pattern) for folder in (tree, settings) if folder.is_dir())
        named = next(filter(None, (sorted(path for path in found if path.is_file()) for found in places)), [])
        if not named:
            message = f"the custom-op project `{project.name}` has no test {pattern}"
            raise OpsSourceError(message, remedy="Correct `tests` of that project: paths of Python programs.")
        found += named
    return found
