"""Builds one custom-op project, by its kind, into a folder with the files that are to lie beside ``tensorflow/``."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from build import BuildBackendException, BuildException, ProjectBuilder, check_dependency

from tfwheel.build import compiler_errors, foreign_wheel, loader_package, ops_kernels, ops_sources, project_environment
from tfwheel.build.errors import CompileError, OpsSourceError
from tfwheel.config import ops_projects
from tfwheel.system import console, digests
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfwheel.config.ops_projects import OpsProject

ENTRY_POINTS = "entry_points.txt"
LICENSES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a project is built with: its sources, the variables of the build, a scratch folder, and the log.

    ``top`` is the folder of all sources and ``tree`` the project's own in it, or for a project that is a wheel, that.
    ``shown`` is what messages have in place of ``top``: the user's folder, or nothing for what was fetched or patched.
    """

    project: OpsProject
    top: Path
    tree: Path
    variables: Mapping[str, str]
    work: Path
    log: Path
    what: str  # for messages: the id of the ops wheel
    shown: str = ""


@dataclass(frozen=True, kw_only=True)
class BuiltProject:
    """Files of a project as they will lie beside ``tensorflow/``; ``licenses`` by their name in the wheel.

    ``metadata`` is the METADATA of a project that is a wheel, ``requires`` are requirements (PEP 508).
    """

    name: str
    folder: Path
    licenses: Mapping[str, Path] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    metadata: bytes | None = None


def build(order: Order) -> BuiltProject:
    """Build a project in a copy of its sources: whatever its build does, the user's folder and the cache keep theirs.

    Raises CompileError, with the compilers' errors first, and OpsSourceError for a project that does not give the
    packages and libraries that ``ops.toml`` names, or whose files cannot be copied.
    """
    with ops_sources.naming_files(order.project):
        made = BUILDERS[order.project.kind](order if order.tree.is_file() else _copied(order))
        _check(order, made)
    return made


def _copied(order: Order) -> Order:
    """Copy the sources of a project into its scratch folder, where its build may write to all of them."""
    copy = order.work / "tree"
    if copy.resolve().is_relative_to(order.top.resolve()):
        message = f"the custom-op project `{order.project.name}` is in {order.top}, which holds what builds make, too"
        raise OpsSourceError(message, remedy="Give it a folder of its own, and name that as `path`.")
    shutil.copytree(order.top, copy, symlinks=True, ignore=ops_projects.unseen(order.project, order.top))
    for folder, _, files in os.walk(copy):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | stat.S_IRUSR | stat.S_IWUSR)
    shown = f"{order.top}/" if order.project.path and not order.project.patches else ""
    return replace(order, top=copy, tree=copy / order.tree.relative_to(order.top), shown=shown)


# --- the kinds -------------------------------------------------------------------------------------------


def _pyproject(order: Order) -> BuiltProject:
    """Build the wheel of a project with `python -m build` (PEP 517), and unpack it."""
    out = order.work / "dist"
    # -P: a build.py in the folder from which the factory was started is not meant.
    argv: list[str | Path] = [sys.executable, "-P", "-m", "build", "--wheel", "--outdir", out]
    # Of git's history a copy has nothing, and who reads its version from there (setuptools-scm, hatch-vcs) needs one.
    commit = f"+g{order.project.commit[:12]}" if order.project.commit else ""
    versioned = replace(order, variables={"SETUPTOOLS_SCM_PRETEND_VERSION": f"0{commit}", **order.variables})
    _run([*argv, *(["--no-isolation"] if _is_ready(versioned) else []), order.tree], versioned)
    if made := next(out.glob("*.whl"), None):
        return _unpacked(order, made)
    message = f"the build of the custom-op project `{order.project.name}` ended well and made no wheel"
    raise OpsSourceError(message, remedy=f"Correct its build backend; the log is {order.log}.")


def _sources(order: Order) -> BuiltProject:
    """Compile the sources of each library with the factory's own CMake modules."""
    here = order.work / "cmake"
    here.mkdir(parents=True)
    (here / "CMakeLists.txt").write_text(ops_kernels.cmake_lists(order.project, order.tree), encoding="utf-8")
    return _taken(order, _installed(here, order, []))


def _cmake(order: Order) -> BuiltProject:
    """Configure, build and install a project by its own CMakeLists.txt, for the GPUs of the line."""
    archs = order.variables.get("CUDAARCHS")  # for projects that would have a default of their own
    usual = [f"-DCMAKE_CUDA_ARCHITECTURES={archs}"] if archs else []
    return _taken(order, _installed(order.tree, order, [*usual, *_filled(order, "configure", order.project.configure)]))


def _command(order: Order) -> BuiltProject:
    """Run the commands of a project in its folder."""
    for command in order.project.commands:
        _run(_filled(order, "commands", command), order, cwd=order.tree)
    return _taken(order, order.tree)


def _prebuilt(order: Order) -> BuiltProject:
    """Take a folder or a wheel as it is."""
    return _unpacked(order, order.tree) if order.tree.is_file() else _taken(order, order.tree)


BUILDERS = {"pyproject": _pyproject, "sources": _sources, "cmake": _cmake, "command": _command, "prebuilt": _prebuilt}


# --- parts of them ---------------------------------------------------------------------------------------


def _run(argv: Sequence[str | Path], order: Order, *, cwd: Path | None = None) -> None:
    try:
        run(argv, cwd=cwd, env={**project_environment.withheld(), **order.variables}, log=order.log)
    except CommandError as error:
        message = f"the custom ops `{order.project.name}` do not compile for {order.what}\n"
        message += (compiler_errors.words(error.output) or error.message).replace(f"{order.top}/", order.shown)
        where = (
            "Correct the source named above" if order.shown else "Correct the source named above by a patch (`patches`)"
        )
        remedy = [f"{where}.", *compiler_errors.hints(error.output), f"The whole log is {order.log}."]
        raise CompileError(message, remedy=" ".join(remedy)) from error


def _filled(order: Order, key: str, words: Sequence[str]) -> list[str]:
    """Return words with the variables of the build in place of their names: `$TENSORFLOW_ROOT`; `$$` is a dollar."""
    try:
        return [Template(word).substitute(order.variables) for word in words]
    except (KeyError, ValueError) as error:
        message = f"`{key}` of the custom-op project `{order.project.name}` names a variable that no build has: {error}"
        remedy = f"There are {', '.join(sorted(order.variables))}; write `$$` for a dollar."
        raise OpsSourceError(message, remedy=remedy) from error


def _installed(source: Path, order: Order, options: Sequence[str]) -> Path:
    """Configure, build and install with CMake; return the folder it installed into. All errors come in one run."""
    build, prefix = order.work / "build", order.work / "installed"
    usual = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_INSTALL_PREFIX={prefix}"]
    usual += ["-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON"]  # a search path that is replaced leaves its length behind
    _run(["cmake", "-S", source, "-B", build, *usual, *options], order)
    _run(["cmake", "--build", build, "--", "-k", "0"], order)
    _run(["cmake", "--install", build], order)
    return prefix


def _taken(order: Order, built: Path) -> BuiltProject:
    """Collect the packages of a project from its tree, and its libraries from where they were built.

    A package is in all of these folders together; what was built replaces what was there. Where it was built in the
    tree, that has it below ``root`` alone: a folder of that name beside it has its sources.
    """
    folder, project = order.work / "taken", order.project
    roots = [order.tree / project.root]
    roots += [built / project.root, built] if built != order.tree else []
    for package in project.packages:
        for source in (root / package for root in dict.fromkeys(roots) if (root / package).is_dir()):
            unwanted = digests.ignored if project.kind == "prebuilt" else _unwanted
            shutil.copytree(
                source, folder / package, ignore=unwanted, ignore_dangling_symlinks=True, dirs_exist_ok=True
            )
    for library in project.library:
        there = built / (library.built or library.file)
        if not there.is_file():
            message = f"the custom-op project `{project.name}` did not make {library.built or library.file}"
            raise OpsSourceError(message, remedy=f"Correct `built` of {library.file}; it would be {there}.")
        (folder / library.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(there, folder / library.file)
    for package in project.packages:
        loader_package.complete(folder / package, order.project)
    return BuiltProject(name=project.name, folder=folder, licenses=_licenses(order), requires=tuple(project.requires))


def _unwanted(folder: str, names: list[str]) -> set[str]:
    """Return what no wheel of a built project has: caches, and sources that were compiled."""
    return digests.ignored(folder, names) | {
        name for name in names if name.endswith((*ops_kernels.SUFFIXES, ".o", ".pyc"))
    }


def _licenses(order: Order) -> dict[str, Path]:
    """Return the licence files of a project by their path in it; without any of its own, those of all the sources."""
    folder = order.tree if order.tree.is_dir() else order.top
    named = [folder / name for name in order.project.licenses]
    if missing := [path for path in named if not path.is_file()]:
        message = f"the custom-op project `{order.project.name}` has no licence file {missing[0].relative_to(folder)}"
        raise OpsSourceError(message, remedy="Correct `licenses`; without it, LICENSE and NOTICE files are taken.")
    if named:
        return {str(path.relative_to(folder)): path for path in named}
    places = (
        {path for pattern in LICENSES for path in one.glob(pattern) if path.is_file()} for one in (folder, order.top)
    )
    found = {path.name: path for path in sorted(next(filter(None, places), ()))}
    if not found:
        console.warn(f"the custom-op project `{order.project.name}` has no licence file: name one in `licenses`")
    return found


def _unpacked(order: Order, wheel: Path) -> BuiltProject:
    """Unpack a wheel; its metadata folder becomes requirements and licences."""
    folder, info = order.work / "unpacked", order.work / "dist-info"
    tensorflow = order.variables["TENSORFLOW_VERSION"]
    foreign_wheel.unpack(wheel, folder, info, project=order.project.name, tensorflow=tensorflow)
    # Since PEP 639 they are in a folder of their own, before it beside METADATA.
    licenses = {path.name: path for pattern in LICENSES for path in info.glob(pattern) if path.is_file()}
    inside = info / "licenses"
    licenses |= {str(path.relative_to(inside)): path for path in inside.rglob("*") if path.is_file()}
    if (info / ENTRY_POINTS).is_file():
        console.warn(f"{wheel.name} of `{order.project.name}` has entry points, which the ops wheel does not get")
    for package in order.project.packages:
        if (folder / package).is_dir():
            loader_package.complete(folder / package, order.project)
    return BuiltProject(
        name=order.project.name,
        folder=folder,
        licenses=licenses,
        requires=tuple(order.project.requires),
        metadata=(info / foreign_wheel.METADATA).read_bytes(),
    )


def _check(order: Order, made: BuiltProject) -> None:
    """Raise OpsSourceError unless the project has just the packages it names, and the libraries that it promises."""
    project = order.project
    found = {path.name for path in made.folder.iterdir()} if made.folder.is_dir() else set()
    lacking = [package for package in project.packages if not (made.folder / package / "__init__.py").is_file()]
    odd = sorted(found - set(project.packages))
    libraries = [library.file for library in project.library if not (made.folder / library.file).is_file()]
    faults = {
        "has no package `{}`, a folder with an `__init__.py`": lacking,
        "brings `{}`, which `packages` does not name": odd,
        "did not make {}": libraries,
    }
    for words, names in faults.items():
        if names:
            message = f"the custom-op project `{project.name}` {words.format(names[0])}"
            raise OpsSourceError(message)


# --- pyproject -------------------------------------------------------------------------------------------


def _is_ready(order: Order) -> bool:
    """Return whether this environment has what a project's build requires; otherwise pip fetches that for the build."""

    def ask(cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None) -> None:
        env = {**project_environment.withheld(), **order.variables, **(extra_environ or {})}
        run(cmd, cwd=Path(cwd) if cwd else None, env=env, log=order.log)

    try:
        builder = ProjectBuilder(order.tree, runner=ask)
        missing = (check_dependency(one) for one in builder.build_system_requires)
        # What the project says is enough to ask its backend for what else it requires.
        return not any(True for found in missing for _ in found) and not builder.check_dependencies("wheel")
    except (BuildException, BuildBackendException, CommandError):
        return False  # `python -m build` says it for people
