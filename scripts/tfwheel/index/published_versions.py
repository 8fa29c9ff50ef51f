"""Whether a version may still be built or published: it stands for one set of inputs, for all its Pythons, for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from tfwheel.index.errors import NameTakenError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfwheel.index.ledger_entry import LedgerEntry

INPUTS = "ops, patches, requirements or line"


def check(known: Iterable[LedgerEntry], *, version: str, inputs: str, target: str, ledger: str) -> None:
    """Raise NameTakenError if a version is published from other inputs, or this target's file of it was removed.

    ``known`` are the entries of the ledger called ``ledger``, ``inputs`` as in LedgerEntry; files whose inputs are
    unknown are not compared.
    """
    known = list(known)
    for entry in known:
        if entry.version != version:
            continue
        if entry.inputs and inputs and entry.inputs != inputs:
            message = (
                f"{version} is published from other {INPUTS}: {ledger} has {entry.file} of {entry.uploaded}, and "
                f"{target} would not be the same TensorFlow"
            )
            raise NameTakenError(message, remedy=_remedy(known, version))
        if entry.target == target and entry.removed is not None:
            message = f"{ledger} says that {entry.file} was removed ({entry.removed}): its name is never used again"
            raise NameTakenError(message, remedy=_remedy(known, version))


def _remedy(known: Iterable[LedgerEntry], version: str) -> str:
    """Name the key to raise, and the first number that is free."""
    parsed = Version(version)
    label = (parsed.local or "").rpartition(".")[0]
    used = {_build(entry.version) for entry in known if entry.version.startswith(f"{parsed.public}+{label}.")}
    return (
        f"Raise `build` to {max(used | {_build(version)}) + 1} in build_config/targets.toml, in the [[release]] of "
        f"TensorFlow {parsed.public} with that line; or put the inputs back to what was published."
    )


def _build(version: str) -> int:
    number = version.rpartition(".")[2]
    return int(number) if number.isdecimal() else 0
