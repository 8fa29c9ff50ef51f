"""What Bazel's events say of a build: streams as Bazel 7.7.1 wrote them, shortened to what is read."""

from __future__ import annotations

import json

import pytest

from tfwheel.source import build_events
from tfwheel.source.build_events import FailedAction

STARTED = {"id": {"started": {}}, "started": {"uuid": "5f", "command": "build"}}
OUTPUT = {"name": "tensorflow/tools/pip_package/wheel_house/a.whl", "uri": "file:///out/a%20b.whl"}
COMPLETED = {"id": {"targetCompleted": {"label": "//:w"}}, "completed": {"success": True, "importantOutput": [OUTPUT]}}
FAILED = {
    "id": {"actionCompleted": {"primaryOutput": "bazel-out/bad.pic.o", "label": "//:bad"}},
    "action": {"exitCode": 1, "label": "//:bad", "type": "CppCompile", "stderr": {"name": "stderr"}},
}


def progress(text: str) -> dict[str, object]:
    return {"id": {"progress": {"opaqueCount": 4}}, "progress": {"stderr": text}}


def finished(name: str, code: int) -> dict[str, object]:
    """Numbers that are 0 are left out, as Bazel does."""
    return {"id": {"buildFinished": {}}, "finished": {"exitCode": {"name": name} | ({"code": code} if code else {})}}


def metrics(**runners: int) -> dict[str, object]:
    counts = [{"name": name.replace("_", " "), "count": count} for name, count in runners.items()]
    return {"id": {"buildMetrics": {}}, "buildMetrics": {"actionSummary": {"runnerCount": counts}}}


def lines(*events: object) -> list[str]:
    return [json.dumps(event) + "\n" for event in events]


def test_a_build_that_ran_and_one_that_found_all_in_a_cache() -> None:
    cold = [STARTED, progress("[1 / 5] x\n[3 / 5] Linking a.so\n"), COMPLETED, finished("SUCCESS", 0)]
    found = build_events.read(lines(*cold, metrics(total=5, internal=2, processwrapper_sandbox=3)))
    assert (found.done, found.total, found.ran, found.cached) == (3, 5, 3, 0)
    assert (found.exit_name, found.exit_code, found.ended) == ("SUCCESS", 0, True)
    assert found.outputs == (OUTPUT["name"],)
    assert found.places == {OUTPUT["name"]: "/out/a b.whl"}
    there = build_events.read(lines(STARTED, finished("SUCCESS", 0), metrics(total=6, internal=2, local=1, remote=3)))
    assert (there.ran, there.remote, there.cached) == (4, 3, 0)
    for kind in ("disk_cache_hit", "remote_cache_hit"):
        again = build_events.read(lines(STARTED, finished("SUCCESS", 0), metrics(total=5, internal=2, **{kind: 3})))
        assert (again.ran, again.remote, again.cached) == (0, 0, 3)


def test_an_action_that_failed_is_named_with_its_target() -> None:
    found = build_events.read(lines(STARTED, FAILED, progress("ERROR: no\n"), finished("BUILD_FAILURE", 1)))
    assert found.failed == (FailedAction(label="//:bad", mnemonic="CppCompile", exit_code=1),)
    assert (found.exit_name, found.exit_code, found.text) == ("BUILD_FAILURE", 1, "ERROR: no\n")
    passed = {"id": FAILED["id"], "action": {"success": True, "type": "CppCompile"}}
    assert build_events.read(lines(passed)).failed == ()


def test_an_interrupted_build_came_to_an_end_and_a_killed_one_did_not() -> None:
    stream = lines(STARTED, progress("[5 / 13] a\n"), finished("INTERRUPTED", 8))
    assert build_events.read(stream).ended
    cut = [*stream[:2], stream[2][:20]]
    found = build_events.read(cut)
    assert (found.ended, found.exit_code, found.done, found.total) == (False, None, 5, 13)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[12,345 / 34,800] 32 actions running\n", (12345, 34800)),
        ("Loading\n[1 / 2] a\nINFO: b\n[2 / 2] c\n", (2, 2)),
        ("INFO: [1 / 2]\n", None),
        ("", None),
    ],
)
def test_the_last_count_of_actions_is_read(text: str, count: tuple[int, int] | None) -> None:
    assert build_events.counter(text) == count


@pytest.mark.parametrize("text", ["", "\n", "null\n", "[]\n", "7\n", "{\n", '{"id": 5}\n', '{"progress": {}}\n'])
def test_a_line_that_is_no_event_says_nothing(text: str) -> None:
    assert build_events.read([text]) == build_events.BuildReport()
