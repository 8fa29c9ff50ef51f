"""The types every stage speaks: a CUDA line, a target, and the official wheel it starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfwheel.config.schema import BuilderName, Retarget

WHEEL_EPOCH = 1_577_836_800  # 2020-01-01: the date of every file in a wheel of ours (SOURCE_DATE_EPOCH)
# The nox session that builds a line, by how the line's name begins.
SESSIONS = {"cpu": "build-cpu", "cu12": "build-cuda12"}


def target_id(tensorflow: str, python: str, line: str) -> str:
    """For example ``tf2.20.0-cp312-cu12``: the one name under which all that belongs to a target is found."""
    return f"tf{tensorflow}-cp{python.replace('.', '')}-{line}"


def session_of(line: str) -> str | None:
    """The nox session that builds a line's targets (``cu12`` and ``cu12x``: ``build-cuda12``), None without one."""
    return next((session for start, session in SESSIONS.items() if line.startswith(start)), None)


def combinations(table: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, str]]:
    """The release, Python and line of every target that ``targets.toml`` asks for, exclusions left out."""
    excluded = {(skip["tensorflow"], skip["python"], skip["line"]) for skip in table.get("exclude", ())}
    for release in table["release"]:
        for python in release["pythons"]:
            for line in release["lines"]:
                if (release["tensorflow"], python, line) not in excluded:
                    yield release, python, line


@dataclass(frozen=True, kw_only=True)
class Line:
    """One CUDA line, which is one sub-index.

    ``cuda`` is the exact toolkit version, None for a line without GPU code. ``archs`` are compute
    capabilities without the dot ("75") that get native code (SASS), ``ptx`` the one that gets portable code.
    ``toolkit`` are pinned requirements for the parts of that toolkit on PyPI. ``retarget`` says what becomes of the
    GPU code of the official libraries; None leaves it as it is.
    """

    name: str
    label: str
    base: str
    cuda: str | None = None
    archs: tuple[str, ...] = ()
    ptx: str | None = None
    toolkit: tuple[str, ...] = ()
    builder: BuilderName = "overlay"
    retarget: Retarget | None = None

    @property
    def gpu_code(self) -> tuple[str, ...]:
        """What a library of this line holds, as NVIDIA's tools name it: ``("sm_75", ..., "compute_90")``."""
        return (*(f"sm_{arch}" for arch in self.archs), *((f"compute_{self.ptx}",) if self.ptx else ()))


@dataclass(frozen=True, kw_only=True)
class Target:
    """One wheel to build; ``id`` names it everywhere."""

    tensorflow: str
    python: str
    line: Line
    build: int
    builder: BuilderName = "overlay"
    default: bool = False
    requires: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """For example ``tf2.20.0-cp312-cu12``."""
        return target_id(self.tensorflow, self.python, self.line.name)

    @property
    def python_tag(self) -> str:
        """The wheel's Python tag, for example ``cp312``."""
        return "cp" + self.python.replace(".", "")

    @property
    def version(self) -> str:
        """Version with local label (PEP 440), for example ``2.20.0+cu125.1``."""
        return f"{self.tensorflow}+{self.line.label}.{self.build}"

    @property
    def ops_id(self) -> str:
        """The id under which the thin ops wheel of this target stands, shared by all its Pythons."""
        return f"ops-tf{self.tensorflow}-{self.line.name}"


@dataclass(frozen=True, kw_only=True)
class Base:
    """An official wheel as locked in ``bases.toml``.

    ``runpaths`` maps a library that loads CUDA to its RUNPATH, ``archs`` one to the GPU code found inside it
    ("sm_80", "compute_90"), ``families`` the kinds of GPU code of TensorFlow's own libraries to the same ("fatbin": big
    kernels, "generated": those that MLIR made); PTX that serves one GPU alone keeps its mark, "compute_90a". ``size``
    is in bytes.
    """

    project: str
    version: str
    python: str
    file: str
    sha256: str
    size: int
    platforms: tuple[str, ...]
    requires_python: str
    requires_dist: tuple[str, ...]
    runpaths: dict[str, str] = field(default_factory=dict)
    archs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    families: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RepairRules:
    """What a published wheel may be: platform policy ceiling, libraries left out on purpose, size limit in bytes."""

    ceiling: str
    max_bytes: int
    exclude: tuple[str, ...]
