"""Fetches the sources of a custom-op project: a folder of the configuration or a commit of a repository, patched."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tfwheel.build.errors import OpsSourceError
from tfwheel.config import ops_projects
from tfwheel.system import digests, kept_folders
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel import patches

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.ops_projects import OpsProject

# git asks nobody: a build has no keyboard. Credentials come from git's own helpers, keys and configuration.
UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}


def fetch(project: OpsProject, settings: Path, cache: Path) -> Path:
    """Return the folder of a project, or for one that is a wheel, that file; a repository is fetched once.

    Folders of the configuration are used where they are, unless they are patched: nothing may write into them.

    Raises OpsSourceError if git cannot fetch the commit or the folder is not in it, PatchError.
    """
    if project.path and not project.patches:
        return _inside(project, settings / project.path)

    def make(folder: Path) -> None:
        if project.git and project.commit:
            _check_out(project.name, project.git, project.commit, folder)
        elif project.path:
            shutil.copytree(settings / project.path, folder, dirs_exist_ok=True, ignore=digests.ignored)
        if project.patches:
            _patch(settings / project.patches, folder)

    facts = ops_projects.identity(project, settings)
    key = digests.of_facts(git=project.git, tree=facts["tree"], patches=facts["patches"])
    busy = f"another run fetches the sources of {project.name}"
    kept = kept_folders.keep(cache / "ops-sources" / key, make, cache=cache, busy=busy)
    return _inside(project, kept)


def _inside(project: OpsProject, tree: Path) -> Path:
    found = tree / project.folder
    if not found.exists():
        message = f"the custom-op project `{project.name}` has no folder {project.folder}"
        raise OpsSourceError(message, remedy="Correct `folder` of that project in build_config/ops.toml.")
    return found


def _check_out(name: str, url: str, commit: str, folder: Path) -> None:
    """Check a commit of a repository out, with its submodules, without its history."""
    git: list[str | Path] = ["git", "-C", folder, "-c", "advice.detachedHead=false"]
    try:
        run(["git", "init", "--quiet", folder], env=UNATTENDED)
        run([*git, "fetch", "--quiet", "--depth", "1", url, commit], env=UNATTENDED)
        run([*git, "checkout", "--quiet", "FETCH_HEAD"], env=UNATTENDED)
        if (folder / ".gitmodules").is_file():
            run([*git, "submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1"], env=UNATTENDED)
    except CommandError as error:
        said = error.output.strip().splitlines() or [error.message.splitlines()[0]]
        message = f"git cannot fetch {commit} of {url} for the custom ops `{name}`: {said[-1]}"
        raise OpsSourceError(message) from error
    _refuse_links_outside(name, folder)
    for path in list(folder.rglob(".git")):  # those of submodules are files
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _refuse_links_outside(name: str, folder: Path) -> None:
    """Raise OpsSourceError for a symbolic link of a repository that leads out of it: its target would be published."""
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            message = f"the repository of the custom-op project `{name}` has a symbolic link that leads out of it: "
            message += str(path.relative_to(folder))
            raise OpsSourceError(message, remedy="Take another commit, or copy the project into build_config/.")


def _patch(folder: Path, tree: Path) -> None:
    names = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    changed = patches.apply_folder(
        folder, names=names, read=lambda name: (tree / name).read_bytes(), version="", to_sources=True
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
