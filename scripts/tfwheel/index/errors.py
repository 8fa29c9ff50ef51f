"""Errors of the room `index`, by kind."""

from __future__ import annotations

from tfwheel.config.errors import ConfigError
from tfwheel.errors import FactoryError, ProgramError, PublishError, UsageError, WrongBytesError


class DocumentError(ConfigError):
    """A document of index/docs/ cannot be shown in the site: a link, not UTF-8, or in the wrong folder."""

    default_remedy = "Correct the file named above; CONTRIBUTING.md says where documents are."


class NotInLedgerError(UsageError):
    """The ledger has no file of that name."""

    default_remedy = "Give the whole file name, as the ledger and the index pages show it."


class LedgerMissingError(UsageError):
    """There is no ledger of that name."""

    default_remedy = "Give the path of a ledger with `--ledger PATH`; without it, index/ledger.jsonl is taken."


class ManifestError(WrongBytesError):
    """A file of a downloaded index is missing, or differs from its manifest or its ledger."""

    default_remedy = "Download the index again, and compare with the signed manifest; do not install from this copy."


class WheelMissingError(FactoryError):
    """Build the wheel first: there is no wheel to serve, upload or release."""

    exit_code = 71
    default_remedy = "Build it first: `nox -s build-cuda12`."


class SiteError(PublishError):
    """The folder of the index cannot be written, or was not made by this program."""

    default_remedy = "Make the folder writable and run again; readers still see the index as it was."


class LedgerAccessError(PublishError):
    """The ledger cannot be read or written: a folder, or no permission."""

    default_remedy = "Name a file that can be read, and for changes a folder that can be written; nothing was changed."


class LockError(ProgramError):
    """uv cannot lock a version with its requirements."""

    default_remedy = "Read uv's output above: for that Python, published wheels must meet every requirement."


# --- the ledger ------------------------------------------------------------------------------------------


class LedgerError(FactoryError):
    """Restore the ledger: it is damaged, or contradicts its own history."""

    exit_code = 100


class LedgerDamagedError(LedgerError):
    """A line of the ledger is malformed, altered by hand, cut, out of order, or says what no index may show."""

    default_remedy = "Restore the file named above from git or a copy; change it with `nox -s ledger` only."


class LedgerHistoryError(LedgerError):
    """A published file is missing from the ledger or was changed there, or two branches changed it differently."""

    default_remedy = "Restore these lines; to take a file out, use `remove` or `yank`."


class NameTakenError(FactoryError):
    """Raise `build` in targets.toml: the file name or version is already published, with other bytes."""

    exit_code = 101
    default_remedy = "Raise `build` in targets.toml: a published file name is never used for other bytes."


class RuntimeChangedError(FactoryError):
    """Look at the report: Colab or the official TensorFlow changed, and nothing that fitted stops fitting."""

    exit_code = 63
    default_remedy = (
        "Copy the newer files to build_config/colab/, as index/docs/colab.md says, and build what the report names."
    )


class FitLostError(FactoryError):
    """Act: a published wheel that fits the newest stored runtime of Colab does not fit the newer one."""

    exit_code = 64
    default_remedy = "Build and publish what the report names under `What to build next` before users get that runtime."
