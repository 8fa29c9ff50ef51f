"""Define the types that all rooms share: a CUDA line, a target, and the official wheel it starts from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfwheel.config.field_types import BuilderName
    from tfwheel.config.schema import Retarget

# The libraries whose kernels TensorFlow runs. Others have copies of some, for example the profiler's plugin.
CORE = re.compile(r"libtensorflow_\w+\.so[.\d]*")
# An extension module of one Python, or of its stable ABI (PEP 3149, PEP 384).
EXTENSION = re.compile(r"\.(cpython-\w+|abi3)(-[\w-]+)?\.so$")
WHEEL_EPOCH = 1_577_836_800  # 2020-01-01: the date of every file in a wheel of ours (SOURCE_DATE_EPOCH)
TENSORFLOW = "tensorflow"  # the name under which every merged wheel is published, whatever its base is called
# The nox session that builds a line, by how the line's name begins.
SESSIONS = {"cpu": "build-cpu", "cu12": "build-cuda12", "cu13": "build-cuda13"}
RESERVED = frozenset({"docs", "install"})  # folders at the root of the site, beside those of the lines


def is_line_name(name: str) -> bool:
    """Return whether a line may have this name, which is the name of its folder in the site."""
    return re.fullmatch(r"[a-z0-9]{1,64}", name) is not None and name not in RESERVED


def target_id(tensorflow: str, python: str, line: str) -> str:
    """Return a target's id, which names everything that belongs to it; for example ``tf2.20.0-cp312-cu12``."""
    return f"tf{tensorflow}-cp{python.replace('.', '')}-{line}"


def session_of(line: str) -> str | None:
    """Return the nox session that builds a line (``cu12`` and ``cu12x``: ``build-cuda12``), None without one."""
    return next((session for start, session in SESSIONS.items() if line.startswith(start)), None)


def is_core(member: str) -> bool:
    """Return whether a member of a wheel is one of the libraries whose kernels TensorFlow runs."""
    return CORE.fullmatch(PurePosixPath(member).name) is not None


def combinations(table: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, str]]:
    """Yield the release, Python and line of every target in ``targets.toml``, exclusions left out."""
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
    capabilities without the dot ("75") that get SASS, ``ptx`` the one that gets PTX. ``toolkit`` are pinned
    requirements for the parts of that toolkit on PyPI. ``retarget`` says which GPU code the official libraries get;
    None leaves it unchanged. ``rpath`` says whether NVIDIA's packages of pip win over LD_LIBRARY_PATH.
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
    rpath: bool = False

    @property
    def gpu_code(self) -> tuple[str, ...]:
        """The images in a library of this line, as NVIDIA's tools name them: ``("sm_75", ..., "compute_90")``."""
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
        """The target's id, for example ``tf2.20.0-cp312-cu12``."""
        return target_id(self.tensorflow, self.python, self.line.name)

    @property
    def python_tag(self) -> str:
        """The wheel's Python tag, for example ``cp312``."""
        return "cp" + self.python.replace(".", "")

    @property
    def version(self) -> str:
        """The version with its local label (PEP 440), for example ``2.20.0+cu125.1``."""
        return f"{self.tensorflow}+{self.line.label}.{self.build}"

    @property
    def ops_id(self) -> str:
        """The id of this target's thin ops wheel, which all Pythons share."""
        return f"ops-tf{self.tensorflow}-{self.line.name}"


@dataclass(frozen=True, kw_only=True)
class Base:
    """An official wheel as locked in ``bases.toml``, or one that was built from source.

    ``runpaths`` maps a library that loads CUDA to its RUNPATH. ``archs`` maps a library to the images in it ("sm_80",
    "compute_90"). ``families`` maps a kind of GPU code ("fatbin": big kernels, "generated": by MLIR) to the
    images that all of its containers in the core libraries have; PTX for one GPU alone keeps its suffix, "compute_90a".
    ``size`` is in bytes. ``source`` is the tree of one that was built from source, as `git+URL@COMMIT` or a digest of a
    folder, and empty for an official one.
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
    source: str = ""

    @property
    def as_recorded(self) -> dict[str, str]:
        """What the record of a wheel that was made of it says of it."""
        return {"file": self.file, "sha256": self.sha256} | ({"source": self.source} if self.source else {})

    @property
    def core(self) -> tuple[str, ...]:
        """Its core libraries with GPU code."""
        return tuple(library for library in self.archs if is_core(library))


@dataclass(frozen=True, kw_only=True)
class OpsRules:
    """What the custom-op projects may bring into a wheel.

    ``packages`` are their Python packages, ``grafts`` patterns of libraries that a repair may copy in. ``archs`` maps a
    library's path in the ops wheel to what is promised of its GPU code: that of the line ("exact"), "at-least" that, or
    "none"; ``without_gpu_code`` says that it is "none" for all. ``autoload`` says for a package, or for one library of
    it by its path, whether TensorFlow loads the ops.
    """

    packages: tuple[str, ...] = ("tfwheel_ops",)
    grafts: tuple[str, ...] = ()
    archs: Mapping[str, str] = field(default_factory=dict)
    without_gpu_code: bool = False
    autoload: Mapping[str, bool] = field(default_factory=dict)

    @property
    def graft_patterns(self) -> tuple[str, ...]:
        """The names that grafted libraries may have: auditwheel adds a hash, ``libgomp-a34b3233.so.1.0.0``."""
        return tuple(pattern.replace(".so", "-*.so", 1) for pattern in self.grafts)

    def file_of(self, member: str) -> str:
        """Return the path of a member in the ops wheel: a merged wheel has ``_PACKAGE/`` for ``PACKAGE/``."""
        package, _, rest = member.partition("/")
        return f"{package[1:]}/{rest}" if package[:1] == "_" and package[1:] in self.packages else member

    def op_libraries(self, members: Iterable[str]) -> list[str]:
        """Return which files of an ops wheel are, by their names, libraries that TensorFlow can load for their ops."""
        inside = [name for name in sorted(members) if name.partition("/")[0] in self.packages]
        return [name for name in inside if name.endswith(".so") and not EXTENSION.search(name)]

    def autoloaded(self, members: Iterable[str]) -> list[str]:
        """Return which libraries of an ops wheel TensorFlow is to load: by their own entry, else as their package."""
        of_package = {name: self.autoload.get(name.partition("/")[0], False) for name in self.op_libraries(members)}
        return [name for name, asked in of_package.items() if self.autoload.get(name, asked)]


@dataclass(frozen=True, kw_only=True)
class RepairRules:
    """Limits of a published wheel: newest platform policy, libraries that must not be in it, size limit in bytes."""

    ceiling: str
    max_bytes: int
    exclude: tuple[str, ...]
    ops: OpsRules = OpsRules()
