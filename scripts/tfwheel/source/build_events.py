"""Read what Bazel tells of a build (``--build_event_json_file``): how far it is, what it ran, and what failed.

Source: the Build Event Protocol, src/main/java/com/google/devtools/build/lib/buildeventstream/proto/
build_event_stream.proto of Bazel. One JSON object a line; of a build that was killed the last line may be cut.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COUNTER = re.compile(r"^\[([\d,]+) / ([\d,]+)\]", re.MULTILINE)  # of actions, as Bazel prints it without a terminal
INTERNAL = ("internal", "total")  # runners that compile nothing: Bazel's own work, and the sum


@dataclass(frozen=True, kw_only=True)
class FailedAction:
    """An action that failed: the target that it belongs to, what it did (``CppCompile``), and its exit code."""

    label: str
    mnemonic: str
    exit_code: int


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What a stream of events says of a build.

    ``done`` and ``total`` count actions. ``ran`` counts the processes that Bazel started, ``cached`` the actions whose
    output came from a disk cache or a remote one. ``exit_name`` is Bazel's own name of its exit code ("SUCCESS",
    "BUILD_FAILURE", "INTERRUPTED"); empty if the stream ends before it: Bazel was killed. ``outputs`` are the files of
    the targets that were asked for, as Bazel names them. ``text`` is what Bazel printed.
    """

    done: int = 0
    total: int = 0
    ran: int = 0
    cached: int = 0
    exit_name: str = ""
    exit_code: int | None = None
    failed: tuple[FailedAction, ...] = ()
    outputs: tuple[str, ...] = ()
    text: str = ""

    @property
    def ended(self) -> bool:
        """Whether Bazel came to its own end."""
        return bool(self.exit_name)


@dataclass(kw_only=True)
class _Reading:
    done: int = 0
    total: int = 0
    runners: dict[str, int] = field(default_factory=dict)
    exit_name: str = ""
    exit_code: int | None = None
    failed: list[FailedAction] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


def read(lines: Iterable[str]) -> BuildReport:
    """Return what a stream of events says, as far as it goes; lines that are no whole event say nothing."""
    found = _Reading()
    for event in _events(lines):
        _note(found, event)
    return BuildReport(
        done=found.done,
        total=found.total,
        ran=sum(number for name, number in found.runners.items() if name not in INTERNAL and not _is_cache(name)),
        cached=sum(number for name, number in found.runners.items() if _is_cache(name)),
        exit_name=found.exit_name,
        exit_code=found.exit_code,
        failed=tuple(found.failed),
        outputs=tuple(found.outputs),
        text="".join(found.text),
    )


def counter(text: str) -> tuple[int, int] | None:
    """Return the last count of actions in what Bazel printed, done and in all; None without one."""
    found = COUNTER.findall(text)
    return (int(found[-1][0].replace(",", "")), int(found[-1][1].replace(",", ""))) if found else None


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # cut by a kill, or still being written
            continue
        if isinstance(event, dict):
            yield event


def _note(found: _Reading, event: dict[str, Any]) -> None:
    """Add what one event says. Numbers of 64 bits are text in JSON, and what is 0 or false is left out."""
    said = event.get("progress", {})
    text = str(said.get("stdout", "")) + str(said.get("stderr", ""))
    found.text.append(text)
    found.done, found.total = counter(text) or (found.done, found.total)
    if "action" in event and not event["action"].get("success"):
        action, name = event["action"], event.get("id", {}).get("actionCompleted", {})
        label = str(action.get("label") or name.get("label") or "")
        code = int(action.get("exitCode", 0))
        found.failed.append(FailedAction(label=label, mnemonic=str(action.get("type", "")), exit_code=code))
    if "finished" in event:
        code = event["finished"].get("exitCode", {})
        found.exit_name, found.exit_code = str(code.get("name", "")), int(code.get("code", 0))
    for one in event.get("completed", {}).get("importantOutput", ()):
        found.outputs.append(str(one.get("name", "")))
    for one in event.get("buildMetrics", {}).get("actionSummary", {}).get("runnerCount", ()):
        found.runners[str(one.get("name"))] = int(one.get("count", 0))


def _is_cache(runner: str) -> bool:
    return "cache hit" in runner
