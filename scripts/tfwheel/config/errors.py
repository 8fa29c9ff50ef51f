"""Errors of the room `config`, by kind."""

from __future__ import annotations

from tfwheel.errors import FactoryError, UsageError

# --- configuration ---------------------------------------------------------------------------------------


class ConfigError(FactoryError):
    """Correct the configuration: a file under `build_config/` is missing, invalid or incomplete."""

    exit_code = 10
    default_remedy = "Correct the file named above; index/docs/customise.md lists the keys."


class NotLockedError(ConfigError):
    """The official wheel of a target is not locked in `bases.toml`."""

    default_remedy = "Run `nox -s update-pins` and commit build_config/bases.toml."


class MatrixTooLargeError(ConfigError):
    """The event selects more jobs than GitHub accepts in one matrix."""

    default_remedy = "Select less for the event in build_config/subsets.toml, or add an [[exclude]] to targets.toml."


# --- usage -----------------------------------------------------------------------------------------------


class SelectionError(UsageError):
    """A target id, line or other selection is unknown, or matches no target."""

    default_remedy = "Run `nox -s plan`: it lists every target and line."


class UnknownTriggerError(UsageError):
    """`subsets.toml` defines no such event or label."""

    default_remedy = "Take an event of build_config/subsets.toml; that file also says what a label may be."


class BuilderUnavailableError(UsageError):
    """The line or target cannot be built this way."""

    default_remedy = "Use a line with the overlay builder: `nox -s build-cuda12` or `nox -s build-cpu`."
