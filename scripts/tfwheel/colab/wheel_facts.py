"""What a judgement needs to know of a wheel: of one that is planned, before it is built, and of one that is there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from tfwheel.config import gpu_support, plan
from tfwheel.errors import BadWheelError
from tfwheel.wheel import core_metadata, gencode
from tfwheel.wheel.metadata import metadata_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tfwheel.colab.distributions import Distributions
    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Base, Target

PROJECT = "tensorflow"  # the name under which a target is published, whatever it is made from


@dataclass(frozen=True, kw_only=True)
class WheelFacts:
    """What a judgement needs to know of a wheel, built or planned.

    ``pythons`` are minor versions ("3.12"), empty for any; ``platforms`` the platform tags. ``gencode`` is the newest
    protobuf that its modules were made with: empty if none says so, None if unknown. ``gpu_code`` maps a kind of GPU
    code to images, as in ``gpu_support``. ``cuda`` is the version of CUDA that it is built with, None without CUDA.
    """

    project: str
    version: str
    pythons: tuple[str, ...]
    platforms: tuple[str, ...]
    requires_python: str = ""
    requires: tuple[str, ...] = ()
    gencode: str | None = None
    gpu_code: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cuda: str | None = None

    @property
    def public(self) -> str:
        """The version without its local label."""
        return self.version.partition("+")[0]


def planned(config: Config, target: Target, known: Distributions) -> WheelFacts | None:
    """Return the facts of a target's wheel, from the official wheel that it is made from; None if that is not locked.

    The thin wheel with the ops alone changes nothing that is judged here: it counts as the official wheel.
    """
    base = plan.locked(config, target)
    if base is None or target.builder == "source":
        return None
    return WheelFacts(
        project=PROJECT,
        version=target.version,
        pythons=(target.python,),
        platforms=base.platforms,
        requires_python=base.requires_python,
        requires=_required(base, target),
        gencode=known.gencode_of(base.project, base.version),
        gpu_code=gpu_support.promised(target, base),
        cuda=target.line.cuda,
    )


def built(wheel: Path, *, gpu_code: Mapping[str, Sequence[str]], cuda: str | None) -> WheelFacts:
    """Return the facts of a finished wheel, read from the file; ``gpu_code`` is what the gates found in it.

    Raises BadWheelError.
    """
    fields = core_metadata.read(metadata_of(wheel))
    project, version, pythons, platforms = named(wheel.name)
    return WheelFacts(
        project=project,
        version=version,
        pythons=pythons,
        platforms=platforms,
        requires_python=fields.get("requires_python", ""),
        requires=tuple(fields.get("requires_dist", ())),
        gencode=gencode.of_wheel(wheel),
        gpu_code=dict(gpu_code),
        cuda=cuda,
    )


def named(file: str) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    """Return project, version, Pythons and platforms that a file name tells; raise BadWheelError if it is none."""
    try:
        project, version, _, tags = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        message = f"{file} is not the file name of a wheel: {error}"
        raise BadWheelError(message) from error
    minors = {int(match[1]) for tag in tags if (match := re.fullmatch(r"cp3(\d+)", tag.interpreter))}
    pythons = tuple(f"3.{minor}" for minor in sorted(minors))
    return project, str(version), pythons, tuple(sorted({tag.platform for tag in tags}))


def _required(base: Base, target: Target) -> tuple[str, ...]:
    """Return the requirements that the wheel of a target will have, without those that its ops and XLA add."""
    kept = (one for one in base.requires_dist if not any(core_metadata.covers(ours, one) for ours in target.requires))
    return (*kept, *target.requires)
