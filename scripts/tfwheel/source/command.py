"""Say how Bazel builds a target: its options from the data of the era, each with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.config import eras
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfwheel.config.eras import Condition, Era, ToolkitEntry
    from tfwheel.config.targets import Line, Target


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of ``bazel build``, why it is there, and who says so."""

    flag: str
    reason: str
    source: str


def options(era: Era, target: Target) -> tuple[Option, ...]:
    """Return the options with which Bazel builds the wheel of a target, in order: later ones win.

    Source: the file of ``build_config/eras/`` that the era was read from; ``eras.era_of`` has refused what it cannot.
    """
    toolkit = eras.toolkit_of(era, target.line)
    facts = _facts(target, toolkit)
    meant = _conditions(target.line, toolkit)
    meant_entries = [entry for entry in era.option if entry.when in meant]
    for entry in meant_entries:
        if lacking := [name for name in eras.NAMED.findall(entry.flag) if not facts.get(name)]:
            message = (
                f"{target.id}: {entry.flag} of the era {era.tensorflow} names {lacking[0]}, which is not known of it"
            )
            raise ConfigError(message, remedy="Correct `when` of that option, or the [[toolkit]] of that CUDA.")
    return tuple(
        Option(flag=entry.flag.format_map(facts), reason=entry.reason, source=eras.whole(era, entry.source))
        for entry in meant_entries
    )


def _conditions(line: Line, toolkit: ToolkitEntry | None) -> set[Condition]:
    if toolkit is None or not line.gpu_code:
        return {"always", "cpu"}
    return {"always", "gpu", toolkit.compiler}


def _facts(target: Target, toolkit: ToolkitEntry | None) -> Mapping[str, str]:
    found = {"python": target.python}
    if toolkit:
        found |= {"cuda": toolkit.cuda, "cudnn": toolkit.cudnn, "nvshmem": toolkit.nvshmem, "nccl": toolkit.nccl or ""}
        found |= {"capabilities": capabilities(target.line)}
    return found


def capabilities(line: Line) -> str:
    """Return the GPU code of a line as HERMETIC_CUDA_COMPUTE_CAPABILITIES has it: ``sm_75,sm_80,compute_90``.

    ``sm_X`` is native code, ``compute_X`` is native code and PTX (rules_ml_toolchain, cuda_configure.bzl). With that
    spelling alone: of ``7.5,12.0`` it takes the last in alphabetical order for the newest.
    """
    return ",".join(f"{'compute' if arch == line.ptx else 'sm'}_{arch}" for arch in line.archs)
