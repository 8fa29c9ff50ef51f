"""Refuses a build whose version is published from other inputs, before its work: that name is never used again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.config import inputs
from tfwheel.index import ledger, published_versions
from tfwheel.system import console

if TYPE_CHECKING:
    from tfwheel.config.build_config import Config
    from tfwheel.config.paths import Paths
    from tfwheel.config.targets import Target


def require_free(config: Config, target: Target, paths: Paths, *, trial: bool = False) -> None:
    """Check that what a target would build can be published; with ``trial`` it is for this machine alone.

    Raises NameTakenError if the published ledger has the version from other inputs, LedgerDamagedError if that ledger
    cannot be read.
    """
    if trial:
        console.say("  a trial for this machine: whether it can be published is not checked; `publish` will")
        return
    published_versions.check(
        ledger.read(paths.published).entries,
        version=target.version,
        inputs=inputs.digest(config, target),
        target=target.ops_id if target.builder == "ops" else target.id,
        ledger=str(paths.published),
    )
