"""The local equivalents of actions do what the actions do, their surprises included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from workflow_runner import actions
from workflow_runner.errors import RehearsalError, WorkflowError

if TYPE_CHECKING:
    from pathlib import Path

WHEEL, RECORD = "t/a.whl", "t/a.whl.record.json"


@pytest.fixture
def machine(tmp_path: Path) -> actions.Machine:
    """A machine whose checkout has a wheel, its record and a hidden file in dist/wheels."""
    paths = {name: tmp_path / name for name in ("origin", "workspace", "temp", "artifacts")}
    for name in (WHEEL, RECORD, ".lock", "t/.hidden/x"):
        path = paths["workspace"] / "dist" / "wheels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return actions.Machine(**paths)


def upload(machine: actions.Machine, name: str, path: str = "dist/wheels") -> None:
    actions.perform("actions/upload-artifact@x", {"name": name, "path": path, "if-no-files-found": "error"}, machine)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_is_uploaded_without_itself_and_without_hidden_files(machine: actions.Machine) -> None:
    upload(machine, "wheel-t")
    assert files(machine.artifacts) == [f"wheel-t/{WHEEL}", f"wheel-t/{RECORD}"]


def test_what_fits_a_wildcard_keeps_the_folders_below_the_fixed_part(machine: actions.Machine) -> None:
    upload(machine, "record-t", "dist/wheels/**/*.record.json")
    upload(machine, "file", f"dist/wheels/{WHEEL}")
    assert files(machine.artifacts) == ["file/a.whl", f"record-t/{RECORD}"]


def test_several_artifacts_get_a_folder_each_and_a_single_one_does_not(machine: actions.Machine) -> None:
    upload(machine, "record-t")
    actions.perform("actions/download-artifact@x", {"pattern": "record-*", "path": "one"}, machine)
    upload(machine, "record-u")
    actions.perform("actions/download-artifact@x", {"pattern": "record-*", "path": "two"}, machine)
    actions.perform("actions/download-artifact@x", {"path": "all"}, machine)
    actions.perform("actions/download-artifact@x", {"name": "record-u", "path": "named"}, machine)
    assert files(machine.workspace / "one") == files(machine.workspace / "named") == [WHEEL, RECORD]
    both = [f"record-{name}/{file}" for name in "tu" for file in (WHEEL, RECORD)]
    assert files(machine.workspace / "two") == files(machine.workspace / "all") == both


def test_alternatives_in_braces_are_understood(machine: actions.Machine) -> None:
    for name in ("record-t", "gpu-t", "wheel-t"):
        upload(machine, name)
    actions.perform("actions/download-artifact@x", {"pattern": "{record,gpu}-*", "path": "run"}, machine)
    assert {path.name for path in (machine.workspace / "run").iterdir()} == {"record-t", "gpu-t"}


def test_an_artifact_is_never_replaced(machine: actions.Machine) -> None:
    upload(machine, "wheel-t")
    with pytest.raises(RehearsalError, match="there is already an artifact wheel-t"):
        upload(machine, "wheel-t")


def test_nothing_to_upload_and_nothing_to_download_are_failures(machine: actions.Machine) -> None:
    with pytest.raises(RehearsalError, match=r"no file to upload at dist/whels"):
        upload(machine, "wheel-t", "dist/whels")
    with pytest.raises(RehearsalError, match="there is no artifact wheel-u; there are: none"):
        actions.perform("actions/download-artifact@x", {"name": "wheel-u", "path": "x"}, machine)


@pytest.mark.parametrize(
    ("results", "skips", "bad"),
    [
        ({"lint": "success", "wheels": "skipped"}, "wheels", None),
        ({"lint": "success", "wheels": "skipped"}, "", "wheels skipped"),
        ({"lint": "failure", "wheels": "success"}, "", "lint failure"),
        ({"lint": "success", "wheels": "failure"}, "lint, wheels", "wheels failure"),
    ],
)
def test_the_gate_lets_pass_what_succeeded_and_what_may_be_skipped(
    machine: actions.Machine, results: dict[str, str], skips: str, bad: str | None
) -> None:
    jobs = json.dumps({name: {"result": result, "outputs": {}} for name, result in results.items()})
    given = {"jobs": jobs, "allowed-skips": skips}
    if bad is None:
        actions.perform("re-actors/alls-green@x", given, machine)
    else:
        with pytest.raises(RehearsalError, match=bad):
            actions.perform("re-actors/alls-green@x", given, machine)


def test_what_has_no_equivalent_here_is_refused(machine: actions.Machine) -> None:
    with pytest.raises(WorkflowError, match="the action actions/deploy-pages has no equivalent") as refusal:
        actions.perform("actions/deploy-pages@x", {}, machine)
    assert "actions/checkout" in refusal.value.remedy
    with pytest.raises(WorkflowError, match="`with: merge-multiple` has no equivalent"):
        actions.perform("actions/download-artifact@x", {"merge-multiple": True}, machine)
