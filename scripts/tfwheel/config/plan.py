"""Turn the configuration into the sorted list of targets, and select from it; without side effects."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from packaging.version import Version

from tfwheel.config import xla_data
from tfwheel.config.errors import BuilderUnavailableError, ConfigError, NotLockedError, SelectionError
from tfwheel.config.targets import Base, Target, combinations
from tfwheel.config.toml_files import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfwheel.config.build_config import Config


def targets(config: Config) -> list[Target]:
    """Return every target, sorted by TensorFlow, Python and line; raise ConfigError for duplicate ids."""
    releases = [release.model_dump() for release in config.releases]
    exclusions = [exclusion.model_dump() for exclusion in config.exclusions]
    found = [
        Target(
            tensorflow=release["tensorflow"],
            python=python,
            line=config.lines[name],
            build=release["build"],
            builder=release["builder"] or config.lines[name].builder,
            default=release["default"],
            requires=tuple(release["requires"]),
        )
        for release, python, name in combinations({"release": releases, "exclude": exclusions})
    ]
    for target_id, times in Counter(target.id for target in found).items():
        if times > 1:
            message = f"{config.directory / 'targets.toml'}: the target `{target_id}` is defined {times} times"
            raise ConfigError(message)
    _check_versions(found, config)
    return sorted(found, key=lambda target: (Version(target.tensorflow), Version(target.python), target.line.name))


def _check_versions(found: Iterable[Target], config: Config) -> None:
    """Raise ConfigError for one version with other requirements for another Python: its wheels would differ."""
    known: dict[str, Target] = {}
    for target in found:
        other = known.setdefault(target.version, target)
        if other.requires != target.requires:
            message = (
                f"{config.directory / 'targets.toml'}: {other.id} and {target.id} are both {target.version} and have "
                f"other `requires`: {list(other.requires)} and {list(target.requires)}"
            )
            raise ConfigError(message, remedy="Give one of the two releases another `build`, or both the same list.")


def select(all_targets: Sequence[Target], *, line: str | None = None, default: bool = False) -> list[Target]:
    """Return the targets of one line or all, with ``default`` only the default ones; raise SelectionError for none."""
    lines = sorted({target.line.name for target in all_targets})
    if line is not None and line not in lines:
        message = f"no target is on the line `{line}`; {nearest(line, lines)}"
        raise SelectionError(message)
    chosen = [
        target for target in all_targets if (line in (None, target.line.name)) and (target.default or not default)
    ]
    if not chosen:
        message = f"no default target on {f'the line `{line}`' if line else 'any line'}"
        raise SelectionError(message)
    return chosen


def find(all_targets: Iterable[Target], target_id: str) -> Target:
    """Return the target with that id; raise SelectionError, which suggests the nearest one."""
    by_id = {target.id: target for target in all_targets}
    if target_id not in by_id:
        message = f"there is no target `{target_id}`; {nearest(target_id, list(by_id))}"
        raise SelectionError(message)
    return by_id[target_id]


def base_of(config: Config, target: Target) -> Base:
    """Return the locked official wheel a target starts from; raise NotLockedError if ``bases.toml`` has none."""
    if target.builder == "source":
        message = f"{target.id} is built from source: no official wheel is its base"
        raise BuilderUnavailableError(message)
    if base := locked(config, target):
        return base
    if knows_xla(config, target):
        message = f"{target.id}: bases.toml has no {target.line.base} {target.tensorflow} for Python {target.python}"
        raise NotLockedError(message)
    wanted = target.line.retarget.xla if target.line.retarget else None
    message = f"{target.id}: it is not known how XLA in TensorFlow {target.tensorflow} is raised to CUDA {wanted}"
    raise NotLockedError(message, remedy=xla_data.REMEDY.format(version=target.tensorflow))


def locked(config: Config, target: Target) -> Base | None:
    """Return the official wheel of a target as ``bases.toml`` has it, None if it is not locked yet.

    To be locked, it must also be known how XLA in it is raised, where the line asks for that.
    """
    if not knows_xla(config, target):
        return None
    wanted = (target.line.base, target.tensorflow, target.python)
    return next((base for base in config.bases if (base.project, base.version, base.python) == wanted), None)


def knows_xla(config: Config, target: Target) -> bool:
    """Return whether it is known how XLA of a target is raised to what its line asks for, if it asks for anything."""
    wanted = target.line.retarget.xla if target.builder == "overlay" and target.line.retarget else None
    data = xla_data.find(config.directory / "xla", target.tensorflow) if wanted else None
    return wanted is None or (data is not None and data.cuda in (None, wanted))
