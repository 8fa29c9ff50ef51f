"""Fetches the sources of a custom-op project: a folder of the configuration or a commit of a repository, patched."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.build.errors import OpsSourceError
from tfwheel.config import ops_projects
from tfwheel.source import checkouts
from tfwheel.source.errors import CheckoutError
from tfwheel.system import digests, files, kept_folders
from tfwheel.system.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.config.ops_projects import OpsProject

TESTS = "Correct `tests` of that project: paths of Python programs."


def fetch(project: OpsProject, settings: Path, cache: Path) -> Path:
    """Return the folder of a project, or for one that is a wheel, that file; a repository is fetched once.

    Folders of the configuration are used where they are, unless they are patched: nothing may write into them.

    Raises OpsSourceError if git cannot fetch the commit, the folder is not in it, or its files cannot be used, and
    PatchError.
    """
    owner = f"the custom-op project `{project.name}`"
    with naming_files(project):
        if project.path:
            tree = settings / project.path
            checkouts.refuse_links_outside(owner, tree, without=ops_projects.unseen(project, tree))
            if not project.patches:
                return _inside(project, settings / project.path)

        def make(folder: Path) -> None:
            if project.git and project.commit:
                checkouts.check_out(owner, project.git, project.commit, folder)
            elif project.path:
                tree = settings / project.path
                unseen = ops_projects.unseen(project, tree)
                shutil.copytree(tree, folder, symlinks=True, dirs_exist_ok=True, ignore=unseen)
            if project.patches:
                checkouts.patch(settings / project.patches, folder)

        facts = ops_projects.identity(project, settings)
        key = digests.of_facts(git=project.git, tree=facts["tree"], patches=facts["patches"])
        busy = f"another run fetches the sources of {project.name}"
        kept = kept_folders.keep(cache / "ops-sources" / key, make, cache=cache, busy=busy)
        return _inside(project, kept)


@contextmanager
def naming_files(project: OpsProject) -> Iterator[None]:
    """Turn errors of a checkout or of the file system into an OpsSourceError, with the path, or a DiskFullError."""
    try:
        yield
    except CheckoutError as error:
        raise OpsSourceError(error.message, remedy=error.remedy) from error
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
