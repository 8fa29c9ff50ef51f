"""What all Pythons of one version share: a digest of the settings that decide what is in its wheels."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from tfwheel.config import eras, ops_projects, plan
from tfwheel.config.errors import SelectionError
from tfwheel.system import digests

if TYPE_CHECKING:
    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Target

# Facts of a line that change no byte of a wheel, or only its version, which is a fact by itself.
ELSEWHERE = {"name", "label", "builder"}


def digest(config: Config, target: Target) -> str:
    """Return a digest of the version, ops, patches, requirements and line of a target, equal for all its Pythons.

    The factory's code and tools are not part of it: what is published stays true when they change. A switch that is off
    is not part of it either, so that a new one changes no digest.
    """
    line = {name: value for name, value in asdict(target.line).items() if name not in ELSEWHERE and value is not False}
    ceilings = config.directory / "xla" / f"{target.tensorflow}.toml"
    return digests.of_facts(
        version=target.version,
        requires=target.requires,
        line=line,
        ops=_ops(config),
        patches=digests.of_tree(config.directory / "patches" / target.tensorflow),
        ceilings=hashlib.sha256(ceilings.read_bytes()).hexdigest() if ceilings.is_file() else "",
        **({"source": _source(config, target)} if target.builder == "source" else {}),
    )


def _source(config: Config, target: Target) -> object:
    """Return the tree of a target that is built from source, and how its era builds it."""
    era = eras.era_of(config.directory, target)
    tree = eras.identity(eras.source_of(config.directory, target.tensorflow), config.directory)
    return [
        tree,
        era.bazel,
        era.target,
        [(option.flag, option.when) for option in era.option],
        eras.toolkit_of(era, target.line),
    ]


def _ops(config: Config) -> object:
    if config.ops == ops_projects.USUAL:
        return digests.of_tree(config.directory / "ops")
    return [ops_projects.identity(project, config.directory) for project in config.ops]


def target_of(config: Config, folder: str) -> Target:
    """Return the target of a folder of dist/wheels, a target id or the id of an ops wheel; else SelectionError."""
    targets = plan.targets(config)
    of_ops = next((target for target in targets if target.ops_id == folder), None)
    if of_ops:
        return of_ops
    if folder.startswith("ops-"):
        message = f"no target has the ops wheel `{folder}`"
        raise SelectionError(message)
    return plan.find(targets, folder)
