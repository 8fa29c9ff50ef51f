"""Read how TensorFlow is built from source: ``eras/<minor>.toml`` and ``sources.toml``.

An era is a minor version of TensorFlow: the options of its Bazel build, each with its reason and source, and the
combinations of CUDA, cuDNN and compiler that its tree knows. Nothing of it is in code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import AfterValidator, Field

from tfwheel.config.errors import ConfigError
from tfwheel.config.field_types import (
    AnyVersion,
    Capability,
    Commit,
    CudaVersion,
    GitUrl,
    PythonVersion,
    RelativePath,
    RequirementText,
    ToolkitVersion,
    Version,
)
from tfwheel.config.schema import Table
from tfwheel.config.toml_files import read
from tfwheel.system import digests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.config.targets import Line, Target

SOURCES = "sources.toml"
FACTS = ("python", "cuda", "cudnn", "nccl", "nvshmem", "capabilities")  # what an option may name in braces
NAMED = re.compile(r"\{([^{}]*)\}")
Condition = Literal["always", "cpu", "gpu", "nvcc", "clang"]


# Words that a printed script has in a comment, and parts of a path that it has in a command.
Sentence = Annotated[str, Field(min_length=10, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
PlainPath = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")]


def _flag(text: str) -> str:
    """Check an option of Bazel, in which braces name facts of the target."""
    odd = [name for name in NAMED.findall(text) if name not in FACTS]
    if odd or not re.fullmatch(r"--[a-z@][^\s{}]*(\{[a-z]+\})?", text):
        message = f"must be one option of Bazel, which may end with one of {', '.join(f'{{{name}}}' for name in FACTS)}"
        raise ValueError(message)
    return text


def _plain(entries: list[str]) -> list[str]:
    """Check requirements that get the marker of an extra: none has one, and no project is there twice."""
    found = [Requirement(one) for one in entries]
    if marked := next((one for one in found if one.marker or one.extras), None):
        message = f"a project and its versions, without a marker or extra: {marked}"
        raise ValueError(message)
    names = [canonicalize_name(one.name) for one in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        message = f"{twice} is there twice"
        raise ValueError(message)
    return entries


class OptionEntry(Table):
    """One ``[[option]]``: an option of ``bazel build``, why it is there, and who says so.

    ``when`` tells for which targets it is: all, those without or with GPU code, or those whose GPU code one compiler
    makes.
    """

    flag: Annotated[str, AfterValidator(_flag)]
    reason: Sentence
    source: Sentence
    when: Condition = "always"


class ToolkitEntry(Table):
    """One ``[[toolkit]]``: a CUDA version that the tree can fetch, and what goes with it.

    ``newest`` is the newest compute capability that ``compiler`` makes native code for with it, ``oldest`` the oldest,
    if that is known. ``and_cuda`` are the requirements of the wheel's extra ``and-cuda`` in place of those of the tree,
    which are for another major version of CUDA.
    """

    cuda: ToolkitVersion
    cudnn: AnyVersion
    nvshmem: AnyVersion
    nccl: AnyVersion | None = None
    compiler: Literal["clang", "nvcc"]
    newest: Capability
    oldest: Capability | None = None
    and_cuda: Annotated[list[RequirementText], AfterValidator(_plain)] = Field(default_factory=list)
    source: Sentence


class FixEntry(Table):
    """One ``[[fix]]``: what a CUDA version is known to need changed in files of the tree; nothing applies it."""

    cuda: CudaVersion
    what: Sentence
    files: Annotated[list[PlainPath], Field(min_length=1)]
    source: Sentence


class Era(Table):
    """A file of ``eras/``: how the trees of one minor version of TensorFlow are built.

    ``bazel`` is the version in their ``.bazelversion``, ``pythons`` are those that they have a lock for. ``wheels`` is
    the folder of the built wheel below ``bazel-bin``. A build has about ``actions`` actions, and its caches need
    ``disk`` GiB. ``trees`` are repositories at a commit, by the word that stands for one in a source.
    """

    tensorflow: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]
    trees: dict[str, str]
    bazel: ToolkitVersion
    pythons: Annotated[list[PythonVersion], Field(min_length=1)]
    target: Annotated[str, Field(pattern=r"^//[\w/.-]+:[\w.-]+$")]
    wheels: PlainPath
    actions: Annotated[int, Field(gt=0)]
    disk: Annotated[int, Field(gt=0)]
    option: Annotated[list[OptionEntry], Field(min_length=1)]
    toolkit: list[ToolkitEntry] = Field(default_factory=list)
    fix: list[FixEntry] = Field(default_factory=list)


class SourceEntry(Table):
    """One ``[[source]]``: the tree of a TensorFlow version, a commit of a repository or a folder, and its patches.

    ``path`` and ``patches`` are relative to ``build_config/``.
    """

    tensorflow: Version
    git: GitUrl | None = None
    commit: Commit | None = None
    path: RelativePath | None = None
    patches: RelativePath | None = None


class SourcesFile(Table):
    """``sources.toml``."""

    source: list[SourceEntry] = Field(default_factory=list)


def whole(era: Era, source: str) -> str:
    """Return a source, or several joined by `; `, with their repositories: ``owner/name@commit: path``."""
    named = (one.partition(": ") for one in source.split("; "))
    return "; ".join(f"{era.trees.get(word, word)}{colon}{rest}" for word, colon, rest in named)


def era_of(folder: Path, target: Target) -> Era:
    """Return how the tree of a target is built; raise ConfigError if no file of ``eras/`` says so for this target."""
    minor = ".".join(target.tensorflow.split(".")[:2])
    path = folder / "eras" / f"{minor}.toml"
    if not path.exists():
        known = ", ".join(sorted(one.stem for one in path.parent.glob("*.toml"))) or "none"
        message = f"{target.id}: it is not known how TensorFlow {minor} is built from source: {path} is missing"
        raise ConfigError(message, remedy=f"Write that file as one of the others is written (there are {known}).")
    era = read(path, Era)
    if era.tensorflow != minor:
        message = f"{path} is about TensorFlow {era.tensorflow}"
        raise ConfigError(message, remedy="Name the file after the version that it is about.")
    for fault, remedy in _faults(era, target):
        message = f"{target.id}: {fault} ({path})"
        raise ConfigError(message, remedy=remedy)
    return era


def source_of(folder: Path, tensorflow: str) -> SourceEntry:
    """Return the tree of a TensorFlow version; raise ConfigError if ``sources.toml`` has none, or an odd one."""
    path = folder / SOURCES
    entries = read(path, SourcesFile).source if path.exists() else []
    found = [entry for entry in entries if entry.tensorflow == tensorflow]
    if len(found) != 1:
        message = f"{path} has {'two trees' if found else 'no tree'} of TensorFlow {tensorflow}"
        raise ConfigError(message, remedy="Give it one [[source]], with `git` and `commit`, or with `path`.")
    (entry,) = found
    place = f"{path}: the source of TensorFlow {tensorflow}"
    if (entry.path is None) == (entry.git is None) or (entry.git is None) != (entry.commit is None):
        message = f"{place} needs either `path`, a folder, or `git` and `commit`"
        raise ConfigError(message)
    if entry.patches and not any((folder / entry.patches).glob("*.patch")):
        message = f"{place}: `patches` is {entry.patches}, and no *.patch is in {folder / entry.patches}"
        raise ConfigError(message)
    if entry.path and not (folder / entry.path).is_dir():
        message = f"{place}: `path` is {entry.path}, and there is no folder {folder / entry.path}"
        raise ConfigError(message)
    return entry


def identity(entry: SourceEntry, settings: Path) -> dict[str, str]:
    """Return what decides the bytes of a tree; of a folder that is all that a build sees of it."""
    tree = entry.commit or digests.of_sources(settings / str(entry.path), without=digests.ignored)
    return {"tree": tree, "patches": digests.of_tree(settings / entry.patches) if entry.patches else ""}


def fault_of(folder: Path, target: Target) -> str:
    """Return why a target cannot be built from source, as far as that is known before its tree; empty if it can."""
    try:
        era_of(folder, target)
        source_of(folder, target.tensorflow)
    except ConfigError as error:
        return error.message
    return ""


def toolkit_of(era: Era, line: Line) -> ToolkitEntry | None:
    """Return what the era builds GPU code of a line with; None for a line without GPU code, or an unknown CUDA."""
    return next((one for one in era.toolkit if one.cuda == line.cuda), None)


def fixes_of(era: Era, line: Line) -> list[FixEntry]:
    """Return what the CUDA version of a line is known to need changed in the tree."""
    return [fix for fix in era.fix if line.cuda and line.cuda.startswith(f"{fix.cuda}.")]


def _faults(era: Era, target: Target) -> Iterator[tuple[str, str]]:
    """Yield what no tree of this era can build, with its remedy."""
    line = target.line
    if target.python not in era.pythons:
        remedy = f"Take one of {', '.join(era.pythons)}."
        yield f"the tree of TensorFlow {era.tensorflow} has no lock for Python {target.python}", remedy
    if not line.cuda:
        return
    known = ", ".join(one.cuda for one in era.toolkit) or "none"
    toolkit = toolkit_of(era, line)
    if toolkit is None:
        remedy = (
            f"Set `cuda` of the line to one of {known}, or write a [[toolkit]] for it, with the source that says so."
        )
        yield f"TensorFlow {era.tensorflow} is not known to build with CUDA {line.cuda}", remedy
        return
    for arch in sorted({*line.archs, *filter(None, [line.ptx])}, key=int):
        if int(arch) > int(toolkit.newest):
            newer = [one.cuda for one in era.toolkit if int(one.newest) >= int(arch)]
            fault = f"{toolkit.compiler} with CUDA {toolkit.cuda} makes no code for {dotted(arch)}"
            remedy = f"Take CUDA {newer[0]}." if newer else f"Leave {arch} out of the line."
            yield f"{fault}; its newest is {dotted(toolkit.newest)}", remedy
        if toolkit.oldest and int(arch) < int(toolkit.oldest):
            fault = f"{toolkit.compiler} with CUDA {toolkit.cuda} makes no code for {dotted(arch)}"
            yield f"{fault}; its oldest is {dotted(toolkit.oldest)}", f"Leave {arch} out of the line."
    if line.ptx and line.ptx not in line.archs:
        remedy = f"Add {line.ptx} to `archs` of the line, or take one of its archs as `ptx`."
        yield f"PTX alone cannot be asked for: compute_{line.ptx} of TensorFlow's build is native code, too", remedy


def dotted(arch: str) -> str:
    """Return a compute capability as people write it: ``7.5``."""
    return f"{arch[:-1]}.{arch[-1]}"
