"""Compute what each GPU of Colab runs of a wheel, by kind of GPU code: SASS, PTX compiled by the driver, or nothing.

The rules are NVIDIA's (CUDA C++ Programming Guide, "Binary compatibility" and "PTX compatibility"): SASS runs on its
compute capability and on later ones of the same major number; PTX runs on its own and all later ones, unless it is for
one GPU alone ("sm_90a").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tfwheel.config import plan, schema, toml_files
from tfwheel.config.errors import NotLockedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Base, Line, Target

NAMED = re.compile(r"(sm|compute)_(\d+)(\d)([a-z]?)")
NOTHING = "nothing"
JIT = "PTX (JIT)"
COLUMNS = ("TensorFlow", "wheel", "GPU", "capability", "big kernels", "generated kernels", "custom ops", "XLA")
OFFICIAL = "official"
NEWER_PTXAS_FROM = 10  # first major compute capability that ptxas 12.5 does not know (build_config/xla/)


class GpuEntry(schema.Table):
    """One table ``[[gpu]]``."""

    name: str
    capability: Annotated[str, Field(pattern=r"^\d{1,2}\.\d$")]
    card: str = ""


class GpusFile(schema.Table):
    """``gpus.toml``."""

    gpu: Annotated[list[GpuEntry], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU by Colab's name, and the name of the card where that differs; ``capability`` is (major, minor)."""

    name: str
    capability: tuple[int, int]
    card: str = ""

    @property
    def label(self) -> str:
        """Both names, for users."""
        return f"{self.name} / {self.card}" if self.card else self.name


def load(folder: Path) -> tuple[Gpu, ...]:
    """Read the GPUs of ``gpus.toml``, in its order; raise ConfigError if it is missing or malformed."""
    entries = toml_files.read(folder / "gpus.toml", GpusFile).gpu
    pairs = [(entry, entry.capability.split(".")) for entry in entries]
    return tuple(
        Gpu(name=entry.name, capability=(int(major), int(minor)), card=entry.card) for entry, (major, minor) in pairs
    )


def fit(images: Iterable[str], capability: tuple[int, int]) -> str:
    """Return what a GPU runs of these images ("sm_80", "compute_90a"): "SASS", "SASS sm_80", "PTX (JIT)" or "nothing".

    The driver prefers SASS to PTX, and among SASS images the one nearest to the GPU.
    """
    major, minor = capability
    found = [match.groups() for match in map(NAMED.fullmatch, images) if match]
    native = [int(low) for kind, high, low, mark in found if kind == "sm" and int(high) == major and int(low) <= minor]
    if native:
        return "SASS" if max(native) == minor else f"SASS sm_{major}{max(native)}"
    ptx = [((int(high), int(low)), mark) for kind, high, low, mark in found if kind == "compute"]
    return JIT if any(one == capability or (one < capability and not mark) for one, mark in ptx) else NOTHING


def rows(settings: Config, targets: Iterable[Target], gpus: Sequence[Gpu]) -> list[list[str]]:
    """Return one row per wheel and GPU, the official wheel above the one made from it.

    All Pythons of a version share their rows. Lines without GPU code have none. Raises NotLockedError where
    ``bases.toml`` lacks the wheel or its GPU code.
    """
    found: dict[tuple[str, str], list[list[str]]] = {}
    for target in targets:
        if target.line.cuda is None or (target.tensorflow, target.line.name) in found:
            continue
        base = plan.base_of(settings, target)
        if not base.families:
            message = f"bases.toml does not say which kinds of GPU code {base.file} has"
            raise NotLockedError(
                message, remedy="Run `nox -s update-pins -- --renew` and commit build_config/bases.toml."
            )
        new = retargeted(base, target.line)
        found.setdefault(
            (target.tensorflow, OFFICIAL), [_row(target.tensorflow, OFFICIAL, gpu, base.families) for gpu in gpus]
        )
        found[target.tensorflow, target.line.name] = [
            _row(target.tensorflow, target.line.name, gpu, new, ops=target.line.gpu_code) for gpu in gpus
        ]
    return [row for group in found.values() for row in group]


def retargeted(base: Base, line: Line) -> dict[str, tuple[str, ...]]:
    """Return the images of a line's wheel by family: the official ones, or those its ``retarget`` asks for."""
    wanted = line.retarget
    if wanted is None:
        return dict(base.families)
    ptx = (f"compute_{wanted.ptx}",) if wanted.ptx else ()
    return {
        "fatbin": (*(f"sm_{arch}" for arch in wanted.archs), *ptx),
        "generated": (*(f"sm_{arch}" for arch in wanted.generated), *ptx),
    }


def _row(
    tensorflow: str, wheel: str, gpu: Gpu, families: Mapping[str, Sequence[str]], *, ops: Sequence[str] = ()
) -> list[str]:
    major, minor = gpu.capability
    kinds = [fit(families.get(family, ()), gpu.capability) for family in ("fatbin", "generated")]
    own = fit(ops, gpu.capability) if ops else "none"
    xla = "compiled there" if major < NEWER_PTXAS_FROM else "compiled there, by ptxas 12.8 or newer"
    return [tensorflow, wheel, gpu.name, f"{major}.{minor}", *kinds, own, xla]
