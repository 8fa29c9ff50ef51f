"""Builds one custom-op project, by its kind, into a folder with the files that are to lie beside ``tensorflow/``."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
import zipfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from string import Template
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from tfwheel.build import compiler_errors, ops_kernels
from tfwheel.build.errors import CompileError, OpsSourceError
from tfwheel.system import digests
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.ops_projects import OpsProject

LICENSES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*")
# A package that nobody wrote: it only loads its libraries.
PACKAGE = '''"""The ops of {project} as TensorFlow generates them, by library: {libraries}."""

from pathlib import Path

import tensorflow as tf

{loads}

__all__ = [{names}]
'''


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a project is built with: its sources, the variables of the build, a scratch folder, and the log."""

    project: OpsProject
    tree: Path
    variables: Mapping[str, str]
    work: Path
    log: Path
    what: str  # for messages: the id of the ops wheel


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
    """Build a project; nothing is written to its tree.

    Raises CompileError, with the compilers' errors first, and OpsSourceError for a project that does not give the
    packages and libraries that ``ops.toml`` names.
    """
    made = BUILDERS[order.project.kind](order)
    _check(order, made)
    return made


# --- the kinds -------------------------------------------------------------------------------------------


def _pyproject(order: Order) -> BuiltProject:
    """Build the wheel of a project with `python -m build` (PEP 517), and unpack it.

    scikit-build-core has a folder of its own for what it makes; others write into the tree, and so get a copy.
    """
    out, tree = order.work / "dist", order.tree
    if not _by_cmake(tree):
        tree = order.work / "tree"
        shutil.copytree(order.tree, tree, symlinks=True, ignore=digests.ignored)
    argv: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--outdir", out]
    argv += ["--no-isolation"] if _is_ready(tree) else []
    argv += [f"--config-setting=build-dir={order.work / 'build'}"] if _by_cmake(tree) else []
    _run([*argv, tree], order)
    return _unpacked(order, next(out.glob("*.whl")))


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
    """Run the commands of a project in a copy of its tree."""
    copy = order.work / "tree"
    shutil.copytree(order.tree, copy, symlinks=True, ignore=digests.ignored)
    for command in order.project.commands:
        _run(_filled(order, "commands", command), order, cwd=copy)
    return _taken(order, copy)


def _prebuilt(order: Order) -> BuiltProject:
    """Take a folder or a wheel as it is."""
    return _unpacked(order, order.tree) if order.tree.is_file() else _taken(order, order.tree)


BUILDERS = {"pyproject": _pyproject, "sources": _sources, "cmake": _cmake, "command": _command, "prebuilt": _prebuilt}


# --- parts of them ---------------------------------------------------------------------------------------


def _run(argv: Sequence[str | Path], order: Order, *, cwd: Path | None = None) -> None:
    try:
        run(argv, cwd=cwd, env=order.variables, log=order.log)
    except CommandError as error:
        message = f"the custom ops `{order.project.name}` do not compile for {order.what}\n"
        message += compiler_errors.words(error.output) or error.message
        remedy = ["Correct the source named above.", *compiler_errors.hints(error.output)]
        raise CompileError(message, remedy=" ".join([*remedy, f"The whole log is {order.log}."])) from error


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
    """Collect the packages of a project from its tree, and its libraries from where they were built."""
    folder, project = order.work / "taken", order.project
    for package in project.packages:
        source = next((one / package for one in _roots(order, built) if (one / package).is_dir()), None)
        if source:
            shutil.copytree(source, folder / package, ignore=_unwanted)
    for library in project.library:
        there = built / (library.built or library.file)
        if not there.is_file():
            message = f"the custom-op project `{project.name}` did not make {library.built or library.file}"
            raise OpsSourceError(message, remedy=f"Correct `built` of {library.file}; it would be {there}.")
        (folder / library.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(there, folder / library.file)
    for package in project.packages:
        _complete(order, folder / package)
    return BuiltProject(name=project.name, folder=folder, licenses=_licenses(order), requires=tuple(project.requires))


def _roots(order: Order, built: Path) -> tuple[Path, ...]:
    return (order.tree / order.project.root, built / order.project.root, built)


def _unwanted(folder: str, names: list[str]) -> set[str]:
    """Return what no wheel has: caches, and sources that were compiled."""
    return digests.ignored(folder, names) | {
        name for name in names if name.endswith((*ops_kernels.SUFFIXES, ".o", ".pyc"))
    }


def _complete(order: Order, package: Path) -> None:
    """Write an ``__init__.py`` that loads the libraries, for a package that has none."""
    if (package / "__init__.py").exists():
        return
    libraries = [one.file for one in order.project.library if one.autoload is not False]
    inside = [file.partition("/")[2] for file in libraries if file.startswith(f"{package.name}/")]
    names = {"ops": inside[0]} if len(inside) == 1 else {_attribute(file): file for file in inside}
    if not names:
        return
    loads = [f"{name} = tf.load_op_library(str(Path(__file__).parent / {file!r}))" for name, file in names.items()]
    text = PACKAGE.format(
        project=order.project.name,
        libraries=", ".join(names),
        loads="\n".join(loads),
        names=", ".join(map(repr, names)),
    )
    (package / "__init__.py").write_text(text, encoding="utf-8")


def _attribute(file: str) -> str:
    """Return the name that a library has in the package that only loads it: ``_image_ops.so`` is ``image_ops``."""
    stem = file.rpartition("/")[2].partition(".")[0]
    return re.sub(r"\W", "_", stem.removeprefix("lib").strip("_")) or "ops"


def _licenses(order: Order) -> dict[str, Path]:
    named = [order.tree / name for name in order.project.licenses]
    if missing := [path for path in named if not path.is_file()]:
        message = f"the custom-op project `{order.project.name}` has no licence file {missing[0].name}"
        raise OpsSourceError(message, remedy="Correct `licenses`; without it, LICENSE and NOTICE files are taken.")
    found = named or sorted(path for pattern in LICENSES for path in order.tree.glob(pattern) if path.is_file())
    return {path.name: path for path in found}


def _unpacked(order: Order, wheel: Path) -> BuiltProject:
    """Unpack a wheel; its metadata folder becomes requirements and licences."""
    folder = order.work / "unpacked"
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        message = f"the custom-op project `{order.project.name}` is no wheel: {wheel}: {error}"
        raise OpsSourceError(message) from error
    info = next(folder.glob("*.dist-info"), None)
    if info is None or not (info / "METADATA").is_file():
        message = f"{wheel.name} of the custom-op project `{order.project.name}` has no METADATA"
        raise OpsSourceError(message)
    kept = info.rename(order.work / "dist-info")
    files = [path for path in (kept / "licenses").rglob("*") if path.is_file()]
    return BuiltProject(
        name=order.project.name,
        folder=folder,
        licenses={str(path.relative_to(kept / "licenses")): path for path in files},
        requires=tuple(order.project.requires),
        metadata=(kept / "METADATA").read_bytes(),
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


def _build_system(tree: Path) -> Mapping[str, object]:
    try:
        found = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8")).get("build-system", {})
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _by_cmake(tree: Path) -> bool:
    return "scikit_build_core" in json.dumps(_build_system(tree).get("build-backend", ""))


def _is_ready(tree: Path) -> bool:
    """Return whether this environment has what a project's build requires; otherwise pip fetches that for the build."""
    requires = _build_system(tree).get("requires", ["setuptools"])
    try:
        wanted = [Requirement(str(one)) for one in requires]  # type: ignore[attr-defined] # what is no list raises
        return all(one.specifier.contains(version(one.name)) for one in wanted)
    except (InvalidRequirement, PackageNotFoundError, TypeError):
        return False
