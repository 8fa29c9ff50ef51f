"""The GPUs that users have, and what each of them runs of the wheels that the configuration promises.

The one rule for what a GPU runs is ``doctor.gpu_rules``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tfwheel.config import changed_libraries, plan, schema, toml_files, xla_data
from tfwheel.config.errors import NotLockedError
from tfwheel.doctor import gpu_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Base, Line, Target

# The rule itself is also part of a program that users run: other rooms find it here.
NOTHING, NONE, JIT, OPS, KINDS = gpu_rules.NOTHING, gpu_rules.NONE, gpu_rules.JIT, gpu_rules.OPS, gpu_rules.KINDS
fit, runs, serves = gpu_rules.fit, gpu_rules.runs, gpu_rules.serves
COLUMNS = ("TensorFlow", "wheel", "GPU", "capability", *KINDS.values(), "XLA")
OFFICIAL = "official"
NEWER_FROM = 10  # first major compute capability that the files of build_config/xla/ are about


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
    if set(base.core) <= set(changed_libraries.retargeted(wanted, base)):
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
        official, xla = base.families, xla_data.find(settings.directory / "xla", target.tensorflow)
        for wheel, gpu_code in {OFFICIAL: official, target.line.name: ours}.items():
            rows_of = [row(gpu, gpu_code, tensorflow=target.tensorflow, wheel=wheel, xla=xla) for gpu in gpus]
            found.setdefault((target.tensorflow, wheel), rows_of)
    return [row for group in found.values() for row in group]


def row(
    gpu: Gpu, gpu_code: Mapping[str, Sequence[str]], *, tensorflow: str, wheel: str, xla: schema.CeilingFile | None
) -> list[str]:
    """Return what a GPU runs of a wheel as a row with these COLUMNS; ``xla`` is what is known of XLA there."""
    major, minor = gpu.capability
    words = "compiled there"
    if major >= NEWER_FROM:
        words = _of_newer(xla)
    return [tensorflow, wheel, gpu.name, f"{major}.{minor}", *runs(gpu_code, gpu.capability).values(), words]


def _of_newer(xla: schema.CeilingFile | None) -> str:
    """Return what becomes of a function that XLA compiles for a GPU that CUDA 12.5 does not know."""
    if xla is None:
        return "not known"
    return "nothing" if xla.unsupported else f"compiled there, by ptxas {xla.ptxas} or newer"
