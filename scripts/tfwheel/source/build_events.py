"""Read what Bazel tells of a build (``--build_event_json_file``): how far it is, what it ran, and what failed.

Source: the Build Event Protocol, src/main/java/com/google/devtools/build/lib/buildeventstream/proto/
build_event_stream.proto of Bazel. One JSON object a line; of a build that was killed the last line may be cut.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

COUNTER = re.compile(r"^\[([\d,]+) / ([\d,]+)\]", re.MULTILINE)  # of actions, as Bazel prints it without a terminal
FILE = "file://"
INTERNAL = ("internal", "total")  # runners that compile nothing: Bazel's own work, and the sum
REMOTE = "remote"  # the runner that is an executor
HIT = " cache hit"  # how the runners of a disk cache and a remote one end


@dataclass(frozen=True, kw_only=True)
class FailedAction:
    """An action that failed: the target that it belongs to, what it did (``CppCompile``), and its exit code."""

    label: str
    mnemonic: str
    exit_code: int


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What a stream of events says of a build.

    ``done`` and ``total`` count actions. ``ran`` counts the processes that Bazel started, ``remote`` those of them that
    an executor ran, ``cached`` the actions whose output came from a disk cache or a remote one. ``exit_name`` is
    Bazel's own name of its exit code ("SUCCESS", "BUILD_FAILURE", "INTERRUPTED"); empty if the stream ends before it:
    Bazel was killed. ``places`` maps the files of the targets that were asked for, as Bazel names them, to their paths.
    ``text`` is what Bazel printed.
    """

    done: int = 0
    total: int = 0
    ran: int = 0
    remote: int = 0
    cached: int = 0
    exit_name: str = ""
    exit_code: int | None = None
    failed: tuple[FailedAction, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files of the targets that were asked for."""
        return tuple(self.places)

    @property
    def ended(self) -> bool:
        """Whether Bazel came to its own end."""
        return bool(self.exit_name)


# --- the messages, as far as they are read; what is 0, false or empty is left out of the JSON ---------------


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    uri: str = ""
    count: int = 0
    code: int = 0


class _Progress(msgspec.Struct, frozen=True, kw_only=True):
    stdout: str = ""
    stderr: str = ""


class _Action(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    success: bool = False
    label: str = ""
    type: str = ""
    exit_code: int = 0


class _Finished(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    exit_code: _Named = _Named()


class _Completed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    important_output: tuple[_Named, ...] = ()


class _Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    runner_count: tuple[_Named, ...] = ()


class _Metrics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    action_summary: _Summary = _Summary()


class _Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    progress: _Progress = _Progress()
    action: _Action | None = None
    finished: _Finished | None = None
    completed: _Completed = _Completed()
    build_metrics: _Metrics = _Metrics()


DECODER = msgspec.json.Decoder(_Event)


def read(lines: Iterable[str]) -> BuildReport:
    """Return what a stream of events says, as far as it goes; lines that are no whole event say nothing."""
    events = list(_events(lines))
    text = "".join(event.progress.stdout + event.progress.stderr for event in events)
    done, total = counter(text) or (0, 0)
    runners = [one for event in events for one in event.build_metrics.action_summary.runner_count]
    actions = [event.action for event in events if event.action and not event.action.success]
    end = next((event.finished.exit_code for event in events if event.finished), None)
    return BuildReport(
        done=done,
        total=total,
        ran=sum(one.count for one in runners if one.name not in INTERNAL and not one.name.endswith(HIT)),
        remote=sum(one.count for one in runners if one.name == REMOTE),
        cached=sum(one.count for one in runners if one.name.endswith(HIT)),
        exit_name=end.name if end else "",
        exit_code=end.code if end else None,
        failed=tuple(FailedAction(label=one.label, mnemonic=one.type, exit_code=one.exit_code) for one in actions),
        places={
            one.name: unquote(one.uri.removeprefix(FILE))
            for event in events
            for one in event.completed.important_output
        },
        text=text,
    )


def counter(text: str) -> tuple[int, int] | None:
    """Return the last count of actions in what Bazel printed, done and in all; None without one."""
    found = COUNTER.findall(text)
    return (int(found[-1][0].replace(",", "")), int(found[-1][1].replace(",", ""))) if found else None


def _events(lines: Iterable[str]) -> Iterator[_Event]:
    for line in lines:
        with suppress(msgspec.DecodeError):  # cut by a kill, or still being written
            yield DECODER.decode(line)
