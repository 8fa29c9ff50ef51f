"""Read ``ops.toml``: the custom-op projects whose packages the wheels have, and what is promised of their libraries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tfwheel.config.errors import ConfigError
from tfwheel.config.field_types import (
    Commit,
    GitUrl,
    InnerPath,
    LibraryPattern,
    PackageName,
    ProjectId,
    RelativePath,
    RequirementText,
    Word,
)
from tfwheel.config.schema import Table
from tfwheel.config.targets import OpsRules
from tfwheel.config.toml_files import read
from tfwheel.system import digests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE = "ops.toml"
Kind = Literal["pyproject", "sources", "cmake", "command", "prebuilt"]
# Keys that only some kinds have.
ONLY: dict[str, tuple[Kind, ...]] = {
    "include": ("sources",),
    "definitions": ("sources",),
    "link": ("sources",),
    "cxx_standard": ("sources",),
    "configure": ("cmake",),
    "commands": ("command",),
    "licenses": ("sources", "cmake", "command", "prebuilt"),
    "requires": ("sources", "cmake", "command", "prebuilt"),
}


class LibraryEntry(Table):
    """A table ``[[project.library]]``: a library in the wheel, and how it comes there.

    ``file`` is its path in the wheel. Kind "sources" compiles it of ``sources`` (patterns of paths in the project),
    "cmake", "command" and "prebuilt" take the file ``built`` (by default that of the same path). ``archs`` promises its
    GPU code: that of the line ("exact"), at least that ("at-least"), or "none". ``gpu_only`` says that it is made on
    lines with GPU code alone. ``autoload`` says whether TensorFlow
    loads it, None as the project does.
    """

    file: InnerPath
    sources: list[InnerPath] = Field(default_factory=list)
    built: InnerPath | None = None
    archs: Literal["exact", "at-least", "none"] = "exact"
    gpu_only: bool = False
    autoload: bool | None = None


class OpsProject(Table):
    """A table ``[[project]]``: one custom-op project.

    Its tree is the folder (or for "prebuilt" the wheel) ``path``, relative to ``build_config/``, or the ``folder`` of
    the commit ``commit`` of a repository ``git``, changed by the patches in the folder ``patches``. ``packages`` are
    the Python packages that it brings: folders below ``root``. ``include``, ``definitions``, ``link`` and
    ``cxx_standard`` are for the compiler, ``configure`` are options of CMake, ``commands`` are programs with their
    arguments. ``tensorflow_cc`` asks for libtensorflow_cc (1 GB) beside the framework library. ``grafts`` are patterns
    of libraries that auditwheel may copy in, ``tests`` programs in Python.
    """

    name: ProjectId
    kind: Kind
    path: RelativePath | None = None
    git: GitUrl | None = None
    commit: Commit | None = None
    folder: InnerPath = "."
    patches: RelativePath | None = None
    packages: Annotated[list[PackageName], Field(min_length=1)]
    root: InnerPath = "."
    library: list[LibraryEntry] = Field(default_factory=list)
    include: list[InnerPath] = Field(default_factory=list)
    definitions: list[Word] = Field(default_factory=list)
    link: list[Word] = Field(default_factory=list)
    cxx_standard: Literal[14, 17, 20, 23] = 17
    configure: list[Word] = Field(default_factory=list)
    commands: list[Annotated[list[Word], Field(min_length=1)]] = Field(default_factory=list)
    tensorflow_cc: bool = False
    grafts: list[LibraryPattern] = Field(default_factory=list)
    licenses: list[InnerPath] = Field(default_factory=list)
    requires: list[RequirementText] = Field(default_factory=list)
    tests: list[InnerPath] = Field(default_factory=list)
    autoload: bool = True

    def without_gpu(self) -> OpsProject:
        """Return the project as it is on a line without GPU code."""
        return self.model_copy(update={"library": [one for one in self.library if not one.gpu_only]})


class OpsFile(Table):
    """``ops.toml``."""

    project: Annotated[list[OpsProject], Field(min_length=1)]


# The projects of a configuration without an ops.toml: the folder ops/.
USUAL = (OpsProject(name="tfwheel-ops", kind="pyproject", path="ops", packages=["tfwheel_ops"]),)


def load(directory: Path) -> tuple[OpsProject, ...]:
    """Read the projects; raise ConfigError with the project and key of the first fault."""
    path = directory / FILE
    if not path.exists():
        return USUAL
    found = tuple(read(path, OpsFile).project)
    names: set[str] = set()
    packages: dict[str, str] = {}
    for project in found:
        place = f"{path}: project `{project.name}`"
        for fault in _faults(project, directory):
            message = f"{place}: {fault}"
            raise ConfigError(message)
        if project.name in names:
            message = f"{place} is there twice"
            raise ConfigError(message, remedy="Give each project a name of its own.")
        names.add(project.name)
        for package in project.packages:
            other = packages.setdefault(package.lstrip("_"), project.name)
            if other != project.name or project.packages.count(package) > 1:
                message = f"{place}: the package `{package}` is named twice (by `{other}`, too)"
                raise ConfigError(message, remedy="Two projects cannot bring one package: rename it in one of them.")
    return found


def rules(projects: tuple[OpsProject, ...]) -> OpsRules:
    """Return what the projects promise, for those who check wheels."""
    libraries = [(project, library) for project in projects for library in project.library]
    of_libraries = {library.file: library.autoload for _, library in libraries if library.autoload is not None}
    of_packages = {package: project.autoload for project in projects for package in project.packages}
    return OpsRules(
        packages=tuple(package for project in projects for package in project.packages),
        grafts=tuple(dict.fromkeys(pattern for project in projects for pattern in project.grafts)),
        archs={library.file: library.archs for _, library in libraries},
        without_gpu_code=all(project.library for project in projects)
        and all(library.archs == "none" for _, library in libraries),
        autoload=of_packages | of_libraries,
    )


def identity(project: OpsProject, directory: Path) -> dict[str, object]:
    """Return what decides the sources of a project and what is made of them; nothing is fetched.

    Raises ConfigError for sources that cannot be read.
    """
    try:
        return {
            "project": project.model_dump(exclude_defaults=True),
            "tree": _digest(project, directory / project.path) if project.path else project.commit,
            "patches": digests.of_tree(directory / project.patches) if project.patches else "",
            "tests": [digests.of_tree(path) for pattern in project.tests for path in sorted(directory.glob(pattern))],
        }
    except OSError as error:
        message = f"the custom-op project `{project.name}`: {error.filename}: {error.strerror}"
        raise ConfigError(message, remedy="Take that out of the project's folder, or make it readable.") from error


def _digest(project: OpsProject, tree: Path) -> str:
    return digests.of_sources(tree, without=unseen(project, tree))


def unseen(project: OpsProject, tree: Path) -> Callable[[str, list[str]], set[str]]:
    """Return which names of a folder below ``tree`` its build does not see, for ``shutil.copytree``.

    That are caches, the links that Bazel makes beside its workspace, and what an earlier `python -m build` left in a
    folder of the user; a commit has nothing of that.
    """
    output = digests.OUTPUT if project.kind == "pyproject" and project.path else set()
    own = tree / project.folder

    def skipped(folder: str, names: list[str]) -> set[str]:
        links = {name for name in names if name.startswith("bazel-") and Path(folder, name).is_symlink()}
        return digests.ignored(folder, names) | links | (output.intersection(names) if Path(folder) == own else set())

    return skipped


def _faults(project: OpsProject, directory: Path) -> Iterator[str]:
    """Yield what is wrong with a project, in words."""
    if (project.path is None) == (project.git is None):
        yield "give it either `path`, a folder beside this file, or `git` and `commit`"
    if (project.git is None) != (project.commit is None):
        yield "`git` and `commit` belong together: what is built must not change by itself"
    for key, kinds in ONLY.items():
        if project.kind not in kinds and key in project.model_fields_set:
            yield f"`{key}` is for projects of the kind {' and '.join(kinds)}, and this one is `{project.kind}`"
    if shadowed := sorted(sys.stdlib_module_names.intersection(project.packages)):
        yield f"the package `{shadowed[0]}` is one of Python itself, which would be imported in its place"
    yield from _faults_of_kind(project)
    yield from _faults_of_libraries(project)
    if project.path:
        yield from _faults_of_path(project, directory / project.path)
    for key, pattern in _patterns(project):
        if any("**" in part and part != "**" for part in pattern.split("/")) or pattern == ".":
            yield f"`{key}` has {pattern}, which names no files (`**` is a part of a path by itself, as in `**/*.cc`)"
    if project.patches and not (directory / project.patches).is_dir():
        yield f"`patches` is {project.patches}, and there is no folder {directory / project.patches}"


def _faults_of_path(project: OpsProject, path: Path) -> Iterator[str]:
    """Yield what is wrong with the path of a project: a folder, or a wheel that is taken as it is."""
    if not path.exists():
        yield f"`path` is {project.path}, and there is no {path}"
    elif not path.is_dir() and project.kind != "prebuilt":
        yield f"`path` is {project.path}, which is no folder; only a project of the kind `prebuilt` may be a wheel"
    elif not path.is_dir() and (project.patches or project.folder != "." or path.suffix != ".whl"):
        yield f"`path` is the file {project.path}; it must be a wheel (.whl), and has no `patches` and no `folder`"


def _patterns(project: OpsProject) -> Iterator[tuple[str, str]]:
    """Yield each pattern of files, with its key."""
    yield from (("tests", pattern) for pattern in project.tests)
    for number, library in enumerate(project.library):
        yield from ((f"library[{number}].sources", pattern) for pattern in library.sources if pattern != ".")


def _faults_of_libraries(project: OpsProject) -> Iterator[str]:
    """Yield what is wrong with the libraries of a project."""
    for number, library in enumerate(project.library):
        if library.file.partition("/")[0] not in project.packages:
            yield f"`library[{number}].file` is {library.file}, which is in none of its packages"
        if not library.file.endswith(".so") and ".so." not in library.file:
            yield f"`library[{number}].file` is {library.file}, which is no name of a shared library"
    files = [library.file for library in project.library]
    if len(set(files)) < len(files):
        yield f"two libraries have the file {max(files, key=files.count)}"


def _faults_of_kind(project: OpsProject) -> Iterator[str]:
    """Yield what the kind of a project asks for and it lacks, or has without use."""
    if project.kind in ("sources", "cmake", "command") and not project.library:
        yield f"a project of the kind `{project.kind}` needs a `[[project.library]]` with its `file`"
    if project.kind == "command" and not project.commands:
        yield 'a project of the kind `command` needs `commands`, as in [["make", "-j2"]]'
    for number, library in enumerate(project.library):
        if (project.kind == "sources") != bool(library.sources):
            words = "needs" if project.kind == "sources" else "compiles no"
            yield f"`library[{number}]`: a project of the kind `{project.kind}` {words} `sources`"
        if library.built and project.kind in ("sources", "pyproject"):
            yield f"`library[{number}].built` is for libraries that something else builds"
