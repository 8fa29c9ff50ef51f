"""The shape of every file of ``build_config/``: keys, types and limits, one class for each table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tfwheel.config.field_types import (
    MINOR,
    AnyVersion,
    Build,
    BuilderName,
    Capability,
    ColabRule,
    CudaVersion,
    GpuImage,
    HexBytes,
    Label,
    LibraryNames,
    LineName,
    OfficialRequirement,
    PinnedText,
    Platform,
    Project,
    ProjectName,
    PythonVersion,
    Reason,
    Repository,
    RequirementTemplate,
    RequirementText,
    Sha256,
    SiteUrl,
    ToolkitVersion,
    Version,
    WheelName,
)


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
    ``generated`` is for the kernels that MLIR generated, which cannot be moved: archs in order of priority; one that
    has no room in all of them fails the build. ``tools`` pin the packages that have ptxas and libnvfatbin, in this
    order.
    ``libraries`` are the file names of the libraries to rewrite, or ``changed_libraries.ALL``. ``symbols`` says whether
    the symbol tables are kept. ``xla`` is the newest CUDA version for which XLA generates code.
    """

    archs: Annotated[tuple[Capability, ...], Field(min_length=1, strict=False)]
    generated: Annotated[tuple[Capability, ...], Field(min_length=1, strict=False)]
    tools: Annotated[tuple[PinnedText, PinnedText], Field(strict=False)]
    libraries: LibraryNames = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
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
    rpath: bool = False


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

    base_url: SiteUrl = ""
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


class CompanionEntry(Table):
    """One ``[[companion]]`` of ``companions.toml``: a project that builds on TensorFlow, and what is tried of it.

    ``requirement`` is what pip installs beside a wheel, by default the newest version that goes with it; ``{minor}`` in
    it stands for the minor version of TensorFlow ("2.20"). ``beside`` are further requirements, without which the
    project does not work. ``check`` names a function of the program that runs there, by default the project's.
    """

    project: Project
    requirement: RequirementTemplate = ""
    beside: list[RequirementTemplate] = Field(default_factory=list)
    check: str = ""

    @property
    def check_name(self) -> str:
        """The name of the check."""
        return self.check or self.project

    def requirements(self, tensorflow: str) -> list[str]:
        """Return what pip installs beside this version of TensorFlow, as in `2.20.0+cu125.3`, the project first."""
        minor = ".".join(tensorflow.split(".")[:2])
        return [text.replace(MINOR, minor) for text in (self.requirement or self.project, *self.beside)]


class CompanionsFile(Table):
    """``companions.toml``."""

    companion: list[CompanionEntry] = Field(default_factory=list)


class WatchedEntry(Table):
    """One ``[[watched]]`` of ``watched.toml``: a reserved name, and the newest version that was seen there."""

    project: Project
    seen: AnyVersion


class WatchedFile(Table):
    """``watched.toml``."""

    watched: list[WatchedEntry] = Field(default_factory=list)
