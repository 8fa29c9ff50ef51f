"""Compute what a GPU runs of a wheel, by kind of GPU code: SASS, PTX compiled by the driver, or nothing.

``runs`` is the one rule: the plan asks it about what the configuration promises, the pages and the summary about what
was found in the finished wheel, and a smoke test on a GPU about what was installed.

The rules are NVIDIA's (CUDA C++ Programming Guide, "Binary compatibility" and "PTX compatibility"): SASS runs on its
compute capability and on later ones of the same major number; PTX runs on its own and all later ones. The suffix "a"
("sm_90a") ties both to one compute capability, "f" to one and its family (CUDA 12.9, "Family-specific features").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tfwheel.config import plan, schema, toml_files
from tfwheel.config.errors import NotLockedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Base, Line, Target

NAMED = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")
NOTHING = "nothing"  # the wheel has such code, and this GPU can run none of it
NONE = "none"  # the wheel has no such code
JIT = "PTX (JIT)"
OPS = "ops"
KINDS = {"fatbin": "big kernels", "generated": "generated kernels", OPS: "custom ops"}  # kinds of GPU code, for users
COLUMNS = ("TensorFlow", "wheel", "GPU", "capability", *KINDS.values(), "XLA")
OFFICIAL = "official"
NEWER_PTXAS_FROM = 10  # first major compute capability that ptxas 12.5 does not know (build_config/xla/)


class GpuEntry(schema.Table):
    """One table ``[[gpu]]``."""

    name: str
    capability: Annotated[str, Field(pattern=r"^\d{1,2}\.\d$")]
    card: str = ""
    colab: bool = False
    machine: Literal["x86_64", "aarch64"] = "x86_64"


class GpusFile(schema.Table):
    """``gpus.toml``."""

    gpu: Annotated[list[GpuEntry], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU by name, and what else it is called; ``capability`` is (major, minor).

    ``colab`` says whether Colab has it, ``machine`` is the processor of the machines that have it.
    """

    name: str
    capability: tuple[int, int]
    card: str = ""
    colab: bool = False
    machine: str = "x86_64"

    @property
    def label(self) -> str:
        """Both names, for users."""
        return f"{self.name} / {self.card}" if self.card else self.name


def load(folder: Path) -> tuple[Gpu, ...]:
    """Read the GPUs of ``gpus.toml``, in its order; raise ConfigError if it is missing or malformed."""
    entries = toml_files.read(folder / "gpus.toml", GpusFile).gpu
    pairs = [(entry, entry.capability.split(".")) for entry in entries]
    return tuple(
        Gpu(
            name=entry.name,
            capability=(int(major), int(minor)),
            card=entry.card,
            colab=entry.colab,
            machine=entry.machine,
        )
        for entry, (major, minor) in pairs
    )


def of_colab(gpus: Iterable[Gpu]) -> tuple[Gpu, ...]:
    """Return those of the GPUs that Colab has."""
    return tuple(gpu for gpu in gpus if gpu.colab)


def fit(images: Iterable[str], capability: tuple[int, int]) -> str:
    """Return what a GPU runs of these images ("sm_80", "compute_90a"): "SASS", "SASS sm_80", "PTX (JIT)" or "nothing".

    The driver prefers SASS to PTX, and among SASS images the one nearest to the GPU.
    """
    major, minor = capability
    found = [
        (kind, (int(high), int(low)), mark)
        for kind, high, low, mark in (match.groups() for match in map(NAMED.fullmatch, images) if match)
        if not mark or (int(high) == major and (int(low) == minor or (mark == "f" and int(low) < minor)))
    ]
    native = [low for kind, (high, low), _ in found if kind == "sm" and high == major and low <= minor]
    if native:
        return "SASS" if max(native) == minor else f"SASS sm_{major}{max(native)}"
    return JIT if any(kind == "compute" and one <= capability for kind, one, _ in found) else NOTHING


def runs(gpu_code: Mapping[str, Sequence[str]], capability: tuple[int, int]) -> dict[str, str]:
    """Return what a GPU runs of each kind of code (the keys of KINDS): the answer of ``fit``, "none" without such code.

    ``gpu_code`` maps a kind to the images that a wheel has of it.
    """
    return {kind: fit(gpu_code[kind], capability) if gpu_code.get(kind) else NONE for kind in KINDS}


def serves(gpu_code: Mapping[str, Sequence[str]], capability: tuple[int, int]) -> bool:
    """Return whether a GPU runs something of every kind of GPU code that a wheel has, and the wheel has any."""
    answers = set(runs(gpu_code, capability).values())
    return NOTHING not in answers and answers != {NONE}


def promised(target: Target, base: Base | None) -> dict[str, tuple[str, ...]]:
    """Return the GPU code that a wheel of a target is to have, by kind.

    ``base`` is the locked official wheel that it is made from, None for the thin wheel with the ops alone. Raises
    NotLockedError if the lock does not say which kinds of GPU code that wheel has.
    """
    ops = {OPS: target.line.gpu_code} if target.line.gpu_code else {}
    return (retargeted(base, target.line) if base else {}) | ops


def retargeted(base: Base, line: Line) -> dict[str, tuple[str, ...]]:
    """Return the images of TensorFlow's own libraries on a line by kind: official ones, or those of its ``retarget``.

    Where the line leaves a core library as it is, those that both have: the lock does not say what it has of each kind.
    Raises NotLockedError if the lock does not say which kinds an official wheel with GPU code has.
    """
    if base.archs and not base.families:
        message = f"bases.toml does not say which kinds of GPU code {base.file} has"
        raise NotLockedError(message, remedy="Run `nox -s update-pins -- --renew` and commit build_config/bases.toml.")
    wanted = line.retarget
    if wanted is None:
        return dict(base.families)
    ptx = (f"compute_{wanted.ptx}",) if wanted.ptx else ()
    archs = {"fatbin": wanted.archs, "generated": wanted.generated}
    asked = {kind: (*(f"sm_{arch}" for arch in archs[kind]), *ptx) for kind in base.families}
    if all(PurePosixPath(library).name in wanted.libraries for library in base.core):
        return asked
    return {kind: tuple(one for one in asked[kind] if one in official) for kind, official in base.families.items()}


def rows(settings: Config, targets: Iterable[Target], gpus: Sequence[Gpu]) -> list[list[str]]:
    """Return one row per wheel and GPU, the official wheel above the one made from it.

    All Pythons of a version share their rows. Wheels without GPU code have none. Raises NotLockedError if
    ``bases.toml`` lacks a wheel or its kinds of GPU code.
    """
    found: dict[tuple[str, str], list[list[str]]] = {}
    for target in targets:
        base = plan.base_of(settings, target)
        ours = promised(target, base if target.builder != "ops" else None)
        if not ours or (target.tensorflow, target.line.name) in found:
            continue
        official = base.families
        for wheel, gpu_code in {OFFICIAL: official, target.line.name: ours}.items():
            rows_of = [row(gpu, gpu_code, tensorflow=target.tensorflow, wheel=wheel) for gpu in gpus]
            found.setdefault((target.tensorflow, wheel), rows_of)
    return [row for group in found.values() for row in group]


def row(gpu: Gpu, gpu_code: Mapping[str, Sequence[str]], *, tensorflow: str, wheel: str) -> list[str]:
    """Return what a GPU runs of a wheel as a row with these COLUMNS."""
    major, minor = gpu.capability
    xla = "compiled there" if major < NEWER_PTXAS_FROM else "compiled there, by ptxas 12.8 or newer"
    return [tensorflow, wheel, gpu.name, f"{major}.{minor}", *runs(gpu_code, gpu.capability).values(), xla]
