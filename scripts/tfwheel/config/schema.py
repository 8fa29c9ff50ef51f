"""The shape of every file of ``build_config/``: keys, types and limits, one class for each table."""

from __future__ import annotations

from typing import Annotated, Literal

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tfwheel.system import urls


def _requirement(text: str) -> str:
    try:
        Requirement(text)
    except InvalidRequirement as error:
        message = f"not a requirement: {error}"
        raise ValueError(message) from error
    return text


def _pinned(text: str) -> str:
    requirement = Requirement(_requirement(text))
    (only, *more) = [*requirement.specifier] or [None]
    exact = only is not None and only.operator == "==" and not only.version.endswith("*")
    if more or not exact or requirement.url or requirement.marker:
        message = "must be an exact version, as in `nvidia-cuda-nvcc-cu12==12.9.86`"
        raise ValueError(message)
    return text


def _site(text: str) -> str:
    """Check a URL that pages, documents and commands to paste into a shell name."""
    if text and not (urls.is_plain(text) and text.endswith("/")):
        message = "must be a plain URL that ends with a slash, as in `https://example.org/index/`"
        raise ValueError(message)
    return text


BuilderName = Literal["overlay", "ops", "source"]
Version = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
PythonVersion = Annotated[str, Field(pattern=r"^3\.\d+$")]
Capability = Annotated[str, Field(pattern=r"^\d{2,3}$")]
Label = Annotated[str, Field(pattern=r"^[a-z0-9]+$")]
RequirementText = Annotated[str, AfterValidator(_requirement)]
PinnedText = Annotated[str, AfterValidator(_pinned)]
Reason = Annotated[str, Field(min_length=10)]


class Table(BaseModel):
    """A table of a configuration file; unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ReleaseEntry(Table):
    """One ``[[release]]``: a TensorFlow version, and the Pythons and lines it is built for."""

    tensorflow: Version
    build: Annotated[int, Field(ge=1)]
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
    ``generated`` is for the kernels that MLIR generated, which cannot be moved: archs in order of priority, as many as
    there is room for. ``tools`` pin the packages that have ptxas and libnvfatbin, in this order. ``libraries`` are the
    file names of the libraries to rewrite. ``symbols`` says whether the symbol tables are kept. ``xla`` is the newest
    CUDA version for which XLA generates code.
    """

    archs: Annotated[tuple[Capability, ...], Field(min_length=1, strict=False)]
    generated: Annotated[tuple[Capability, ...], Field(min_length=1, strict=False)]
    tools: Annotated[tuple[PinnedText, PinnedText], Field(strict=False)]
    libraries: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = (
        "libtensorflow_cc.so.2",
        "libtensorflow_framework.so.2",
    )
    ptx: Capability | None = None
    symbols: bool = True
    xla: Annotated[str, Field(pattern=r"^\d+\.\d+$")] | None = None


class LineEntry(Table):
    """One table of ``lines.toml``."""

    label: Label
    base: str
    cuda: Version | None = None
    archs: list[Capability] = Field(default_factory=list)
    ptx: Capability | None = None
    toolkit: list[PinnedText] = Field(default_factory=list)
    builder: BuilderName = "overlay"
    retarget: Retarget | None = None


class RepairFile(Table):
    """``repair.toml``."""

    ceiling: Annotated[str, Field(pattern=r"^manylinux_2_\d+_x86_64$")]
    max_bytes: Annotated[int, Field(gt=0)]
    exclude: list[str]


class Acknowledged(Table):
    """A project name that only this index serves, and the reason why that is safe."""

    name: str
    reason: Reason


class IndexSettings(Table):
    """``index.toml``. ``base_url`` is the URL of the published site, empty while there is none.

    ``repository`` is the "owner/name" that has the releases, empty to use $GITHUB_REPOSITORY; ``ledger_change`` is how
    a release adds its lines of the ledger to the main branch.
    """

    base_url: Annotated[str, AfterValidator(_site)] = ""
    repository: Annotated[str, Field(pattern=r"^([\w.-]+/[\w.-]+)?$")] = ""
    ledger_change: Literal["pull-request", "push"] = "pull-request"
    acknowledge: list[Acknowledged] = Field(default_factory=list)


class BaseEntry(Table):
    """One table of ``bases.toml``."""

    project: str
    version: Version
    python: PythonVersion
    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(gt=0)]
    platforms: list[str]
    requires_python: str
    requires_dist: list[str]
    runpaths: dict[str, str] = Field(default_factory=dict)
    archs: dict[str, list[str]] = Field(default_factory=dict)
    families: dict[str, list[str]] = Field(default_factory=dict)


class BasesFile(Table):
    """``bases.toml``."""

    base: list[BaseEntry] = Field(default_factory=list)
