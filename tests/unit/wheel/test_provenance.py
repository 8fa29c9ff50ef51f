"""The provenance of a wheel: sound in the eyes of in-toto's own library, and only what the record says."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

from tfwheel.wheel import provenance, records
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "octo/wheels",
    "GITHUB_WORKFLOW_REF": "octo/wheels/.github/workflows/wheels.yml@refs/heads/main",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_REF": "refs/heads/main",
}
RECORD = Record(
    target="tf2.20.0-cp312-cu12",
    project="tensorflow",
    version="2.20.0+cu125.2",
    line="cu12",
    python="3.12",
    file="tensorflow-2.20.0+cu125.2-cp312-cp312-manylinux_2_17_x86_64.whl",
    sha256="ab" * 32,
    size=620_000_000,
    key="cd" * 32,
    source_commit=COMMIT,
    tools={"host compiler": "g++ 12", "zlib": "1.3", "cmake": "4.0", "nvidia-curand-cu12": "10.3.6.82"},
    base={"file": "tensorflow_cpu-2.20.0-cp312-cp312-manylinux_2_17_x86_64.whl", "sha256": "ef" * 32},
    gates={"size": "620,000,000 bytes"},
    smoke={"passed": True, "gpu": "absent", "client": "pip 26", "checks": [{"name": "import"}]},
)


def made(record: Record) -> dict[str, Any]:
    """The statement, after in-toto's library has read it, every field known to it."""
    found: dict[str, Any] = json.loads(provenance.statement(record))
    message = ParseDict({"type" if key == "_type" else key: value for key, value in found.items()}, StatementMessage())
    Statement.copy_from_pb(message).validate()
    ParseDict(found["predicate"], Provenance())
    return found


def dependencies(record: Record) -> dict[str, dict[str, Any]]:
    """What the wheel was made from, by name."""
    return {one["name"]: one for one in made(record)["predicate"]["buildDefinition"]["resolvedDependencies"]}


def test_it_is_an_in_toto_statement_about_the_wheel() -> None:
    found = made(RECORD)
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found["subject"] == [{"name": RECORD.file, "digest": {"sha256": RECORD.sha256}}]


def test_what_a_person_chose_is_told_from_what_was_found() -> None:
    definition = made(RECORD)["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {
        "target": "tf2.20.0-cp312-cu12",
        "project": "tensorflow",
        "version": "2.20.0+cu125.2",
        "line": "cu12",
        "python": "3.12",
    }
    assert definition["internalParameters"] == {"host compiler": "g++ 12", "zlib": "1.3"}


def test_the_official_wheel_the_source_and_every_package_are_named() -> None:
    found = dependencies(RECORD)
    assert found["source"] == {"name": "source", "digest": {"gitCommit": COMMIT}}
    official = found[RECORD.base["file"]] if RECORD.base else {}
    assert official["digest"] == {"sha256": "ef" * 32}
    assert official["uri"].startswith("pkg:pypi/tensorflow-cpu@2.20.0?file_name=tensorflow_cpu-2.20.0-")
    assert found["nvidia-curand-cu12"]["uri"] == "pkg:pypi/nvidia-curand-cu12@10.3.6.82"
    assert set(found) == {"source", official["name"], "cmake", "nvidia-curand-cu12"}


def test_what_is_not_known_is_left_out() -> None:
    bare = RECORD.grown(source_commit="", base=None, tools={}, python=None, smoke=None, gates={})
    definition = made(bare)["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"] == []
    assert "python" not in definition["externalParameters"]
    assert made(bare)["predicate"]["runDetails"]["byproducts"][0]["annotations"] == {"gates": {}}


def test_changes_that_are_in_no_commit_are_said() -> None:
    source = dependencies(RECORD.grown(source_commit=f"{COMMIT}-dirty"))["source"]
    assert source["digest"] == {"gitCommit": COMMIT}
    assert source["annotations"] == {"uncommittedChanges": True}


def test_a_build_on_github_names_its_workflow_its_run_and_its_repository() -> None:
    record = RECORD.grown(builder=provenance.builder(GITHUB))
    predicate = made(record)["predicate"]
    assert predicate["runDetails"]["builder"]["id"] == (
        "https://github.com/octo/wheels/.github/workflows/wheels.yml@refs/heads/main"
    )
    assert predicate["runDetails"]["metadata"] == {
        "invocationId": "https://github.com/octo/wheels/actions/runs/42/attempts/2"
    }
    assert predicate["buildDefinition"]["buildType"] == (
        "https://github.com/octo/wheels/blob/HEAD/index/docs/security.md#provenance-v1"
    )
    assert dependencies(record)["source"]["uri"] == "git+https://github.com/octo/wheels@refs/heads/main"


@pytest.mark.parametrize("environment", [{}, GITHUB | {"GITHUB_ACTIONS": ""}])
def test_a_build_elsewhere_is_local_whatever_else_is_set(environment: dict[str, str]) -> None:
    assert provenance.builder(environment) == {"id": "local"}


def test_a_record_of_before_says_local_too() -> None:
    details = made(RECORD)["predicate"]["runDetails"]
    assert (details["builder"], details["metadata"]) == ({"id": "local"}, {})


def test_gates_and_smoke_tests_are_in_it_and_the_record_by_hash(tmp_path: Path) -> None:
    record = RECORD.grown(gpu_smoke={"passed": True, "gpu": {"name": "T4"}})
    (report,) = made(record)["predicate"]["runDetails"]["byproducts"]
    assert report["annotations"]["gates"] == RECORD.gates
    assert report["annotations"]["smoke"]["gpu"] == "absent"
    assert "checks" not in report["annotations"]["smoke"]
    assert report["annotations"]["gpuSmoke"]["gpu"] == {"name": "T4"}
    wheel = tmp_path / RECORD.file
    records.save(record, wheel)
    assert report["name"] == records.path_for(wheel).name
    assert report["digest"] == {"sha256": hashlib.sha256(records.path_for(wheel).read_bytes()).hexdigest()}


def test_equal_records_give_equal_bytes() -> None:
    again = RECORD.grown(tools=dict(reversed(RECORD.tools.items())))
    assert provenance.statement(again) == provenance.statement(RECORD)
    assert provenance.statement(RECORD).endswith(b"}\n")


def test_checksums_are_sorted_by_name_and_have_no_folders(tmp_path: Path) -> None:
    paths = [tmp_path / "b" / "1.whl", tmp_path / "a" / "2.whl"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(path.name.encode())
    one, two = (hashlib.sha256(name).hexdigest() for name in (b"1.whl", b"2.whl"))
    assert provenance.checksums(reversed(paths)) == f"{one}  1.whl\n{two}  2.whl\n"
    assert provenance.checksums([]) == ""
