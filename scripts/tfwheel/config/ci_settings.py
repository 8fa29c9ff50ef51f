"""Read ``runners.toml`` and ``subsets.toml``: where CI jobs can run, and which targets each event builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tfwheel.config import toml_files
from tfwheel.config.errors import ConfigError
from tfwheel.config.field_types import text_like
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.config.schema import Table

if TYPE_CHECKING:
    from pathlib import Path

RUNNERS, SUBSETS = "runners.toml", "subsets.toml"
SELF_HOSTED = "self-hosted"  # the label of every runner that GitHub does not host

Text = Annotated[str, Field(min_length=1)]


class Runner(Table):
    """One ``[[runner]]``: the labels for ``runs-on``, the time limit of a job in minutes, and the cost class.

    ``hosted`` is true for a machine of GitHub, fresh for each job. ``source`` is the URL that states the cost class.
    """

    name: Text
    runs_on: Annotated[list[Text], Field(min_length=1)]
    gpu: bool
    hosted: bool
    timeout: Annotated[int, Field(ge=1)]
    cost: Literal["free", "metered", "own"]
    source: Annotated[str, text_like(r"https://[\x21-\x7e]+", "a URL that begins with https://")]


class RunnersFile(Table):
    """``runners.toml``."""

    runner: Annotated[list[Runner], Field(min_length=1)]


class Subset(Table):
    """The targets an event builds: those that the words of ``select`` name, changed by labels as ``labels`` says."""

    select: list[str] = Field(default_factory=list)
    labels: Literal["add", "replace", "refuse"] = "refuse"


class Events(Table):
    """The events that build something, by GitHub's names."""

    pull_request: Subset
    push: Subset
    schedule: Subset
    workflow_dispatch: Subset
    release: Subset


class SubsetsFile(Table):
    """``subsets.toml``. A build input that ends with a slash is a folder."""

    build_inputs: Annotated[list[Text], Field(min_length=1)]
    event: Events


@dataclass(frozen=True, kw_only=True)
class CiSettings:
    """The checked contents of both files, which are in ``directory``."""

    directory: Path
    runners: tuple[Runner, ...]
    subsets: dict[str, Subset]
    build_inputs: tuple[str, ...]


def load(directory: Path = CONFIG_DIR) -> CiSettings:
    """Read both files of the folder; raise ConfigError with file, key and remedy of the first fault."""
    runners = toml_files.read(directory / RUNNERS, RunnersFile).runner
    subsets = toml_files.read(directory / SUBSETS, SubsetsFile)
    names = [runner.name for runner in runners]
    for runner in runners:
        if names.count(runner.name) > 1:
            message = f"{directory / RUNNERS}: two runners have the name `{runner.name}`"
            raise ConfigError(message)
        if runner.hosted and SELF_HOSTED in runner.runs_on:
            message = f"{directory / RUNNERS}: `{runner.name}` has `hosted = true` and the label {SELF_HOSTED}"
            raise ConfigError(message, remedy="Write `hosted = false`: pull requests must not reach such a machine.")
    return CiSettings(
        directory=directory,
        runners=tuple(runners),
        subsets={name: getattr(subsets.event, name) for name in Events.model_fields},
        build_inputs=tuple(subsets.build_inputs),
    )
