"""Failures of the ledger and the site: what is wrong, and what to do next."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class NothingToServeError(FactoryError):
    """There is no published wheel yet."""

    exit_code = 71
    default_remedy = "Build one first: `nox -s build-cuda12`."


class LockError(FactoryError):
    """A lock of a version and all it needs could not be made."""

    exit_code = 76
    default_remedy = "Read uv's own words above: for that Python, published wheels must meet every requirement."


class ManifestError(FactoryError):
    """A file of a downloaded index is not the one that its manifest or its ledger names."""

    exit_code = 77
    default_remedy = "Do not install from this copy. Download the index again, and compare with the signed manifest."


class SiteError(FactoryError):
    """The folder of the index cannot be written, or is not one that this program made."""

    exit_code = 78
    default_remedy = "Make the folder writable and run again; readers see what was there before."


class LedgerDamagedError(FactoryError):
    """A line of the ledger that is malformed, altered by hand, cut or out of order."""

    exit_code = 100
    default_remedy = (
        "Restore the file from git (`git checkout index/ledger.jsonl`); change it with scripts/edit_ledger.py only."
    )


class LedgerConflictError(FactoryError):
    """Two statements about one file name, or a file that vanished from the ledger."""

    exit_code = 101
    default_remedy = "Raise `build` in targets.toml: a published file name is never used for other bytes."


class NotInLedgerError(FactoryError):
    """A file that the ledger does not have."""

    exit_code = 102
    default_remedy = "Give the whole file name, as the ledger and the index pages show it."
