"""The shape of every file of ``build_config/``: keys, types and limits, one class for each table."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tfwheel.system import urls

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_REQUIREMENT = 500  # characters
# The glibc versions (2.x) that auditwheel has a policy for, from CentOS 5 to now.
GLIBC = (5, 12, 17, 24, 26, 27, 28, 31, 34, 35, 36, 37, 38, 39, 40, 41)


def text_like(pattern: str, words: str) -> AfterValidator:
    """Return a validator for text that is all of ``pattern``; ``words`` say what it must be, with an example.

    A pattern says ``[0-9]``: the class of all digits has those of other scripts, too.
    """
    wanted = re.compile(pattern)

    def check(text: str) -> str:
        if not wanted.fullmatch(text):
            message = f"must be {words}"
            raise ValueError(message)
        return text

    return AfterValidator(check)


def _requirement(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        message = "not a requirement: it has characters that are no ASCII text"
        raise ValueError(message)
    try:
        Requirement(text)
    except (InvalidRequirement, ValueError, RecursionError) as error:
        message = f"not a requirement: {error}"
        raise ValueError(message) from error
    return text


def _own_requirement(text: str) -> str:
    """Check a requirement that a wheel of ours gets: others must be able to install it, and find its extra."""
    requirement = Requirement(_requirement(text))
    marker = str(requirement.marker or "")
    if requirement.url:
        message = "a requirement is a name and versions, never a URL: others must be able to install it"
        raise ValueError(message)
    named = re.findall(r"\bextra\b", marker)
    if named and (len(named) > 1 or " or " in marker or not re.search(r'\bextra == "[^"]+"', marker)):
        message = 'name one extra, alone or joined by `and`, as in `numpy<2; extra == "and-cuda"`'
        raise ValueError(message)
    return text


def _pinned(text: str) -> str:
    requirement = Requirement(_requirement(text))
    (only, *more) = [*requirement.specifier] or [None]
    exact = only is not None and only.operator == "==" and not only.version.endswith("*")
    if more or not exact or requirement.url or requirement.marker:
        message = "must be an exact version, as in `nvidia-cuda-nvcc-cu12==12.9.86`"
        raise ValueError(message)
    return text


NUMBER = "(0|[1-9][0-9]{0,3})"  # without leading zeros: PEP 440 and file names would read 2.020 as 2.20


def _site(text: str) -> str:
    """Check a URL that pages, documents and commands to paste into a shell name."""
    if text and not (urls.is_plain(text) and text.endswith("/")):
        message = "must be a plain URL that ends with a slash, as in `https://example.org/index/`"
        raise ValueError(message)
    return text


BuilderName = Literal["overlay", "ops", "source"]
RELEASE = rf"{NUMBER}\.{NUMBER}\.{NUMBER}"
Version = Annotated[
    str,
    text_like(
        rf"{RELEASE}((a|b|rc){NUMBER})?",
        "a version of three numbers without leading zeros, as in `2.20.0`, or a pre-release, as in `2.22.0rc0`",
    ),
]
ToolkitVersion = Annotated[str, text_like(RELEASE, "a version of three numbers without leading zeros, as in `12.5.1`")]
PythonVersion = Annotated[str, text_like(r"3\.(0|[1-9][0-9]?)", "the minor version of a Python, as in `3.12`")]
CudaVersion = Annotated[str, text_like(rf"[1-9][0-9]?\.{NUMBER}", "a CUDA version of two numbers, as in `12.8`")]
Capability = Annotated[
    str, text_like("[1-9][0-9]{1,2}", "a compute capability without its dot, as in `89` for 8.9 (sm_89)")
]
GpuImage = Annotated[
    str,
    text_like("(sm|compute)_[1-9][0-9]{1,2}[af]?", "GPU code as NVIDIA's tools name it, as in `sm_80` or `compute_90`"),
]
Label = Annotated[
    str,
    text_like(
        r"(?=.{1,20}\Z)(0|[1-9][0-9]*|[0-9]*[a-z][a-z0-9]*)",
        "small letters and digits, at most 20, and no number with leading zeros (007 is 7 in a version), as in `cu125`",
    ),
]
LineName = Annotated[
    str,
    text_like("[a-z0-9]{1,30}", "small letters and digits only, at most 30, as in `cu12`: it is part of a URL"),
]
Project = Annotated[
    str, text_like("[a-z0-9]+(-[a-z0-9]+)*", "the normalised name of a project, as in `tensorflow-cpu`")
]
ProjectName = Annotated[
    str, text_like("[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "the name of a project, as in `tfwheel-ops`")
]
FileName = Annotated[
    str, text_like("[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}", "a file name without a path, as in `libtensorflow_cc.so.2`")
]
WheelName = Annotated[
    str,
    text_like(
        r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\.whl",
        "the file name of a wheel without a path, as in `tensorflow-2.20.0-cp312-cp312-manylinux_2_17_x86_64.whl`",
    ),
]
Sha256 = Annotated[str, text_like("[0-9a-f]{64}", "a sha256: 64 digits, 0 to 9 and a to f")]
Platform = Annotated[
    str,
    text_like(
        f"manylinux_2_({'|'.join(map(str, GLIBC))})_x86_64",
        f"a manylinux policy, as in `manylinux_2_35_x86_64` (known after the 2: {', '.join(map(str, GLIBC))})",
    ),
]
Repository = Annotated[
    str, text_like(r"([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)?", "empty, or a repository of GitHub, as in `owner/name`")
]
OfficialRequirement = Annotated[str, AfterValidator(_requirement)]
RequirementText = Annotated[str, Field(max_length=LONGEST_REQUIREMENT), AfterValidator(_own_requirement)]
PinnedText = Annotated[str, Field(max_length=LONGEST_REQUIREMENT), AfterValidator(_pinned)]
Reason = Annotated[str, Field(min_length=10)]
ColabRule = bool | Literal["warn"]
Build = Annotated[int, Field(ge=1, le=99_999)]


def _hex(text: str) -> str:
    try:
        bytes.fromhex(text)
    except ValueError as error:
        message = f"not bytes in hex: {error}"
        raise ValueError(message) from error
    return text


HexBytes = Annotated[str, Field(min_length=2), AfterValidator(_hex)]


def argument(kind: Any) -> Callable[[str], str]:  # noqa: ANN401 -- one of the annotated types of this module
    """Return a function that checks a word of a command line as the configuration is checked, for argparse."""
    adapter: TypeAdapter[str] = TypeAdapter(kind)

    def check(text: str) -> str:
        try:
            return adapter.validate_python(text)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            message = f"`{text}` {reason}"
            raise argparse.ArgumentTypeError(message) from error

    return check


class Table(BaseModel):
    """A table of a configuration file; unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ReleaseEntry(Table):
    """One ``[[release]]``: a TensorFlow version, and the Pythons and lines it is built for."""

    tensorflow: Version
    build: Build
    pythons: Annotated[list[PythonVersion], Field(min_length=1)]
    lines: Annotated[list[str], Field(min_length=1)]
    builder: BuilderName | None = None
    default: bool = False
    requires: list[RequirementText] = Field(default_factory=list)


class ExclusionEntry(Table):
    """One ``[[exclude]]``: a combination that is not built, and why."""

    tensorflow: Version
    python: PythonVersion
    line: str
    reason: Reason


class TargetsFile(Table):
    """``targets.toml``."""

    release: Annotated[list[ReleaseEntry], Field(min_length=1)]
    exclude: list[ExclusionEntry] = Field(default_factory=list)


class Retarget(Table):
    """A table ``[LINE.retarget]`` of ``lines.toml``: the GPU code that official libraries get in place of their own.

    ``archs`` are the compute capabilities ("120") that get SASS, ``ptx`` is the one whose PTX is kept (None: none is).
    ``generated`` is for the kernels that MLIR generated, which cannot be moved: archs in order of priority, of which
    those without room fail the build. ``tools`` pin the packages that have ptxas and libnvfatbin, in this order.
    ``libraries`` are the file names of the libraries to rewrite. ``symbols`` says whether the symbol tables are kept.
    ``xla`` is the newest CUDA version for which XLA generates code.
    """

    archs: Annotated[tuple[Capability, ...], Field(min_length=1, strict=False)]
    generated: Annotated[tuple[Capability, ...], Field(min_length=1, strict=False)]
    tools: Annotated[tuple[PinnedText, PinnedText], Field(strict=False)]
    libraries: Annotated[tuple[FileName, ...], Field(min_length=1, strict=False)] = (
        "libtensorflow_cc.so.2",
        "libtensorflow_framework.so.2",
    )
    ptx: Capability | None = None
    symbols: bool = True
    xla: CudaVersion | None = None


class LineEntry(Table):
    """One table of ``lines.toml``."""

    label: Label
    base: Project
    cuda: ToolkitVersion | None = None
    archs: list[Capability] = Field(default_factory=list)
    ptx: Capability | None = None
    toolkit: list[PinnedText] = Field(default_factory=list)
    builder: BuilderName = "overlay"
    retarget: Retarget | None = None


class RepairFile(Table):
    """``repair.toml``."""

    ceiling: Platform
    max_bytes: Annotated[int, Field(gt=0)]
    exclude: list[str]


class Acknowledged(Table):
    """A project name that only this index serves, and the reason why that is safe."""

    name: ProjectName
    reason: Reason


class IndexSettings(Table):
    """``index.toml``. ``base_url`` is the URL of the published site, empty while there is none.

    ``repository`` is the "owner/name" that has the releases, empty to use $GITHUB_REPOSITORY; ``ledger_change`` is how
    a release adds its lines of the ledger to the main branch. ``colab`` says what happens to a version that breaks
    every runtime of Colab that users can choose: it is refused (true), published with a warning, or not judged (false).
    ``colab_lines`` says so for single lines, ``colab_releases`` for single versions of TensorFlow, on any line.
    """

    base_url: Annotated[str, AfterValidator(_site)] = ""
    repository: Repository = ""
    ledger_change: Literal["pull-request", "push"] = "pull-request"
    colab: ColabRule = True
    colab_lines: dict[LineName, ColabRule] = Field(default_factory=dict)
    colab_releases: dict[Version, ColabRule] = Field(default_factory=dict)
    acknowledge: list[Acknowledged] = Field(default_factory=list)

    def colab_rule(self, line: str, tensorflow: str) -> bool | str:
        """Return what holds for a version of TensorFlow on a line: True (refuse), "warn" or False (do not judge)."""
        return self.colab_releases.get(tensorflow, self.colab_lines.get(line, self.colab))


class BaseEntry(Table):
    """One table of ``bases.toml``."""

    project: Project
    version: Version
    python: PythonVersion
    file: WheelName
    sha256: Sha256
    size: Annotated[int, Field(gt=0)]
    platforms: list[str]
    requires_python: str
    requires_dist: list[OfficialRequirement]
    runpaths: dict[str, str] = Field(default_factory=dict)
    archs: dict[str, list[GpuImage]] = Field(default_factory=dict)
    families: dict[Literal["fatbin", "generated"], list[GpuImage]] = Field(default_factory=dict)


class BasesFile(Table):
    """``bases.toml``."""

    base: list[BaseEntry] = Field(default_factory=list)


class EditEntry(Table):
    """One table ``[[edit]]`` of a file of ``xla/``."""

    what: Reason
    found: Reason
    symbol: str
    distance: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(gt=0)]
    expected: HexBytes
    replacement: HexBytes


class CeilingFile(Table):
    """A file of ``xla/``: what XLA of one TensorFlow version needs before it emits code for newer GPUs.

    It has one of three: ``edit``, the bytes to change; ``unneeded``, why it emits such code unchanged; ``unsupported``,
    why it never does.
    """

    tensorflow: Version
    ptxas: CudaVersion
    measured: Reason
    cuda: CudaVersion | None = None
    unneeded: Reason | None = None
    unsupported: Reason | None = None
    member: str = ""
    sha256: Sha256 | None = None
    edit: list[EditEntry] = Field(default_factory=list)
