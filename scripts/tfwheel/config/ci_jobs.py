"""Turn an event, labels and changed files into the jobs of CI, one per target, without side effects.

A pull request may come from any fork and contain any code, so its jobs never run on a runner that has a GPU or that
GitHub does not host. This module enforces that, whatever the configuration says.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from tfwheel.config import github_limits, plan
from tfwheel.config.ci_settings import RUNNERS, SUBSETS
from tfwheel.config.errors import (
    ConfigError,
    MatrixTooLargeError,
    SelectionError,
    UnknownTriggerError,
)
from tfwheel.config.targets import session_of
from tfwheel.config.toml_files import nearest
from tfwheel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from tfwheel.config.build_config import Config
    from tfwheel.config.ci_settings import CiSettings, Runner, Subset
    from tfwheel.config.targets import Target

FROM_STRANGERS = "pull_request"
KINDS: dict[str, Callable[[Target], str]] = {
    "python": lambda target: target.python,
    "line": lambda target: target.line.name,
    "tensorflow": lambda target: target.tensorflow,
    "version": lambda target: target.version,
    "target": lambda target: target.id,
}
SLIP = 0.8  # similarity from 0 to 1: `pyton` and `lines` are misspelt words of ours, `area` is another word
OF_JOBS, OF_TARGETS = ("label", "changed_since", "github_output"), ("line", "default", "gpus", "json")  # options
ALL, DEFAULT, CORNERS = "all", "default", "corners"


def matrix(
    config: Config, ci: CiSettings, *, event: str, labels: Iterable[str] = (), changed: Collection[str] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Return the value of GitHub's ``strategy.matrix``: ``{"include": [...]}``, a row per target, sorted by id.

    ``changed`` are the files that differ from a state that was built before, or None to build everything. A label may
    hold several words, separated by commas. A row has ``id``, ``session`` (nox), ``python``, ``runner`` and
    ``gpu_runner`` (values for ``runs-on``; "" for none) and ``timeout`` in minutes. There are no rows when no build
    input changed. Raises ConfigError for a fault in runners.toml or subsets.toml, UnknownTriggerError, SelectionError,
    and MatrixTooLargeError.
    """
    known, labels = plan.targets(config), list(labels)
    everything = [target for target in known if target.builder != "source"]
    _refuse_source(labels, [target for target in known if target.builder == "source"], everything)
    check(ci, everything)
    chosen = select(ci, everything, event=event, labels=labels)
    build, gpu = _runners(ci, event)
    rows = [_row(target, build, gpu) for target in sorted(chosen, key=lambda target: target.id)]
    _check_size(rows, event)
    return {"include": rows if changed is None or touches_build(ci, changed) else []}


def check_options(given: Mapping[str, Any]) -> None:
    """Raise UsageError for options of the plan that do not go together; ``given`` maps each name to its value."""
    event = given["event"]
    if found := [f"--{name.replace('_', '-')}" for name in (OF_TARGETS if event else OF_JOBS) if given[name]]:
        words = ", ".join(found)
        message = f"{words} cannot be used {'with' if event else 'without'} --event"
        remedy = (
            "Leave it out: the event and its labels select targets." if event else f"Add `--event EVENT` to {words}."
        )
        raise UsageError(message, remedy=remedy)


def check(ci: CiSettings, targets: Sequence[Target]) -> None:
    """Raise ConfigError for a word in any event's ``select`` that selects nothing."""
    for event, subset in ci.subsets.items():
        for word in subset.select:
            fault = _fault(word, targets)
            if fault:
                message = f"{ci.directory / SUBSETS}: `event.{event}.select`: {fault}"
                raise ConfigError(message)


def select(ci: CiSettings, targets: Sequence[Target], *, event: str, labels: Iterable[str]) -> list[Target]:
    """Return the ``targets`` (sorted as in plan.py) that an event builds; raise UnknownTriggerError, SelectionError."""
    if event not in ci.subsets:
        message = f"no event `{event}` builds anything; {nearest(event, list(ci.subsets))}"
        raise UnknownTriggerError(message)
    subset = ci.subsets[event]
    words = _words(labels, subset, targets, event)
    selected = words if words and subset.labels == "replace" else [*subset.select, *words]
    named = {target.id for word in selected for target in _named_by(word, targets)}
    if not named:
        message = f"the event `{event}` selects no target" + ("" if subset.select else ", unless a label names some")
        raise SelectionError(message, remedy="Add `--label` with a word of build_config/subsets.toml.")
    return [target for target in targets if target.id in named]


def touches_build(ci: CiSettings, changed: Iterable[str]) -> bool:
    """Return whether one of these files (paths from the root of the checkout) decides the contents of a wheel."""
    return any(
        file.startswith(known) if known.endswith("/") else file == known
        for file in changed
        for known in ci.build_inputs
    )


# --- words -----------------------------------------------------------------------------------------------


def _words(labels: Iterable[str], subset: Subset, targets: Sequence[Target], event: str) -> list[str]:
    """Return the words of the labels that select targets; where labels only add, ignore labels about other things."""
    given = [word.strip() for label in labels for word in label.split(",") if word.strip()]
    if given and subset.labels == "refuse":
        message = f"the event `{event}` takes no labels, and got {', '.join(given)}"
        raise UnknownTriggerError(
            message, remedy="Leave the labels out, or change `labels` of the event in subsets.toml."
        )
    words = [word for word in given if subset.labels == "replace" or _is_meant_for_us(word)]
    for word in words:
        fault = _fault(word, targets)
        if fault:
            raise UnknownTriggerError(fault, remedy="Correct the label; build_config/subsets.toml says what it may be.")
    return words


def _refuse_source(labels: Iterable[str], source: Sequence[Target], others: Sequence[Target]) -> None:
    """Raise UnknownTriggerError for a word that selects only what is built from source: another workflow does that."""
    for word in (word.strip() for label in labels for word in label.split(",")):
        kind, _, value = word.partition(":")
        select = KINDS.get(kind)
        if select and value in set(map(select, source)) - set(map(select, others)):
            message = (
                f"what `{word}` selects is built from source, for hours: the jobs of wheels.yml are too small for it"
            )
            raise UnknownTriggerError(message, remedy="Run source.yml: index/docs/source.md says how.")


def _is_meant_for_us(label: str) -> bool:
    """Return whether a label is a word of ours or a misspelt one, which must not be ignored as an unrelated label."""
    kind, colon, _ = label.partition(":")
    return label == ALL or bool(colon and difflib.get_close_matches(kind, KINDS, cutoff=SLIP))


def _fault(word: str, targets: Sequence[Target]) -> str | None:
    """Return why a word selects no target, with the nearest one that does; None if it selects one."""
    kind, colon, value = word.partition(":")
    if not colon:
        known = [ALL, DEFAULT, CORNERS]
        return None if word in known else f"`{word}` selects nothing; {nearest(word, [*known, *_ids(targets)])}"
    if kind not in KINDS:
        return f"`{word}` selects nothing; {nearest(kind, list(KINDS))}"
    values = {KINDS[kind](target) for target in targets}
    return None if value in values else f"there is no target of {kind} `{value}`; {nearest(value, list(values))}"


def _ids(targets: Iterable[Target]) -> list[str]:
    return [f"target:{target.id}" for target in targets]


def _named_by(word: str, targets: Sequence[Target]) -> list[Target]:
    """Return the targets that a word selects; ``default`` may select none."""
    kind, colon, value = word.partition(":")
    if colon:
        return [target for target in targets if KINDS[kind](target) == value]
    if word == CORNERS:
        return _corners(targets)
    return [target for target in targets if word == ALL or target.default]


def _corners(targets: Sequence[Target]) -> list[Target]:
    """Return the first and the last target of each line, in the order of TensorFlow, then Python."""
    by_line: dict[str, list[Target]] = {}
    for target in targets:
        by_line.setdefault(target.line.name, []).append(target)
    return [end for of_line in by_line.values() for end in (of_line[0], of_line[-1])]


# --- runners and rows ------------------------------------------------------------------------------------


def _runners(ci: CiSettings, event: str) -> tuple[Runner, Runner | None]:
    """Return the runners for building and for GPU jobs of an event; raise ConfigError when it may use none to build."""
    allowed = [runner for runner in ci.runners if event != FROM_STRANGERS or (runner.hosted and not runner.gpu)]
    build = next((runner for runner in allowed if not runner.gpu), None)
    if build is None:
        only = "that is hosted by GitHub " if event == FROM_STRANGERS else ""
        message = f"{ci.directory / RUNNERS}: the event `{event}` needs a runner {only}with `gpu = false`"
        raise ConfigError(
            message, remedy="Add one, for example `ubuntu-24.04`: forks must not reach your own machines."
        )
    return build, next((runner for runner in allowed if runner.gpu), None)


def _row(target: Target, build: Runner, gpu: Runner | None) -> dict[str, Any]:
    session = session_of(target.line.name)  # each line that is not built from source has one: cross_checks.names
    on_gpu = gpu if target.line.cuda else None
    return {
        "id": target.id,
        "session": f"{session}({target.id})",
        "python": target.python,
        "runner": _runs_on(build),
        "gpu_runner": _runs_on(on_gpu) if on_gpu else "",
        "timeout": max(build.timeout, on_gpu.timeout if on_gpu else 0),
    }


def _runs_on(runner: Runner) -> str | list[str]:
    return runner.runs_on[0] if len(runner.runs_on) == 1 else list(runner.runs_on)


def _check_size(rows: Sequence[dict[str, Any]], event: str) -> None:
    on_gpu = sum(bool(row["gpu_runner"]) for row in rows)
    if len(rows) + on_gpu > github_limits.MATRIX_JOBS:
        message = (
            f"the event `{event}` would start {len(rows) + on_gpu} jobs ({len(rows)} build, {on_gpu} use a GPU); "
            f"GitHub starts {github_limits.MATRIX_JOBS} of one matrix at most"
        )
        raise MatrixTooLargeError(message)
