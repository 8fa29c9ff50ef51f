"""Failures of the configuration and what was selected of it: what is wrong, and what to do next."""

from __future__ import annotations

from tfwheel.errors import FactoryError


class ConfigError(FactoryError):
    """A file under ``build_config/`` does not say what it must."""

    exit_code = 10
    default_remedy = "Correct the file named above; README.md, 'Customise', lists the keys."


class UnknownTargetError(FactoryError):
    """A target id, line or selection word that the configuration does not define."""

    exit_code = 11
    default_remedy = "`nox -s plan` lists every target and line."


class EmptySelectionError(FactoryError):
    """The selection is well formed but matches no target."""

    exit_code = 12
    default_remedy = "`nox -s plan` lists every target and line."


class NotLockedError(FactoryError):
    """A target whose official wheel is not in ``bases.toml``."""

    exit_code = 14
    default_remedy = "Run `nox -s update-pins` and commit build_config/bases.toml."


class BuilderUnavailableError(FactoryError):
    """A line or target whose builder does not exist yet."""

    exit_code = 15
    default_remedy = "Use a line with the overlay builder: `nox -s build-cuda12` or `nox -s build-cpu`."


class UnknownTriggerError(FactoryError):
    """An event or a label that ``subsets.toml`` gives no meaning to."""

    exit_code = 16
    default_remedy = "build_config/subsets.toml has the events and says what a label may be."


class MatrixTooLargeError(FactoryError):
    """More jobs than GitHub starts of one matrix; names how many build and how many use a GPU."""

    exit_code = 17
    default_remedy = "Let the event select less in build_config/subsets.toml, or add an [[exclude]] to targets.toml."
