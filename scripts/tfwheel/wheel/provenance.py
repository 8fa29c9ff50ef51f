"""Write a wheel's provenance (an in-toto statement with SLSA provenance) and the checksums of a release.

The statement comes from the wheel's record and is not signed. The signed document is CI's attestation.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tfwheel.system import files
from tfwheel.wheel import records, sbom

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tfwheel.wheel.records import Record

    Resource = dict[str, Any]

SUFFIX = ".provenance.json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "index/docs/security.md#provenance-v1"  # that section explains the fields
LOCAL = "local"  # the builder's name outside CI
COMMIT = 40  # hex digits
SMOKE = ("passed", "gpu", "client", "python", "date", "evidence")


def builder(environment: Mapping[str, str]) -> dict[str, str]:
    """Return who is building, for the record: workflow, run and repository on GitHub Actions, else ``local``.

    Keys: ``id``; on GitHub also ``invocation``, ``repository`` (its URL) and ``ref``, from the documented default
    variables of Actions.
    """
    if environment.get("GITHUB_ACTIONS") != "true":
        return {"id": LOCAL}
    server = environment["GITHUB_SERVER_URL"]
    repository = f"{server}/{environment['GITHUB_REPOSITORY']}"
    run = f"{environment['GITHUB_RUN_ID']}/attempts/{environment['GITHUB_RUN_ATTEMPT']}"
    return {
        "id": f"{server}/{environment['GITHUB_WORKFLOW_REF']}",
        "invocation": f"{repository}/actions/runs/{run}",
        "repository": repository,
        "ref": environment["GITHUB_REF"],
    }


def statement(record: Record) -> bytes:
    """Return the provenance of one wheel (in-toto Statement v1, SLSA provenance v1); equal records give equal bytes."""
    made_by = record.builder or {"id": LOCAL}
    repository = made_by.get("repository")
    predicate = {
        "buildDefinition": {
            "buildType": f"{repository}/blob/HEAD/{BUILD_TYPE}" if repository else "urn:tfwheel:provenance-v1",
            "externalParameters": {
                "target": record.target,
                "project": record.project,
                "version": record.version,
                "line": record.line,
                **({"python": record.python} if record.python else {}),
            },
            "internalParameters": {name: record.tools[name] for name in sbom.NOT_ON_PYPI if name in record.tools},
            "resolvedDependencies": [*_source(record, made_by), *_official(record), *_packages(record)],
        },
        "runDetails": {
            "builder": {"id": made_by["id"]},
            "metadata": {"invocationId": made_by["invocation"]} if "invocation" in made_by else {},
            "byproducts": [_checks(record)],
        },
    }
    subject = {"name": record.file, "digest": {"sha256": record.sha256}}
    whole = {"_type": STATEMENT, "subject": [subject], "predicateType": PREDICATE, "predicate": predicate}
    return (json.dumps(whole, indent=2, sort_keys=True) + "\n").encode()


def checksums(paths: Iterable[Path]) -> str:
    """Return the text of SHA256SUMS for these files, in the format of ``sha256sum``, sorted by name."""
    return "".join(f"{files.sha256_of(path)}  {path.name}\n" for path in sorted(paths, key=lambda path: path.name))


def _source(record: Record, made_by: Mapping[str, str]) -> list[Resource]:
    """Return the commit of this repository; nothing for a build outside git."""
    commit, dirty = record.source_commit[:COMMIT], record.source_commit[COMMIT:]
    if not commit:
        return []
    found: Resource = {"name": "source", "digest": {"gitCommit": commit}}
    if "repository" in made_by:
        found["uri"] = f"git+{made_by['repository']}@{made_by['ref']}"
    if dirty:
        found["annotations"] = {"uncommittedChanges": True}
    return [found]


def _official(record: Record) -> list[Resource]:
    """Return the wheel that was the base: an official one, or one that was built from source, with its tree."""
    if record.base is None:
        return []
    file = record.base["file"]
    project, version = file.split("-")[:2]
    source = record.base.get("source", "")
    uri = sbom.built_from(project, version, source) if source else sbom.purl(project, version, file=file)
    found: Resource = {"name": file, "uri": uri, "digest": {"sha256": record.base["sha256"]}}
    return [found, *([{"name": "tensorflow", "uri": source}] if source else [])]


def _packages(record: Record) -> list[Resource]:
    """Return the parts of the CUDA toolkit and the build tools that came from PyPI."""
    return [
        {"name": name, "uri": sbom.purl(name, version)}
        for name, version in sorted(record.tools.items())
        if name not in sbom.NOT_ON_PYPI
    ]


def _checks(record: Record) -> Resource:
    """Return the record beside the wheel, with the findings of gates and smoke tests."""
    reports = {"smoke": record.smoke, "gpuSmoke": record.gpu_smoke}
    short = {name: {key: report.get(key) for key in SMOKE} for name, report in reports.items() if report}
    return {
        "name": record.file + records.SUFFIX,
        "digest": {"sha256": hashlib.sha256(records.written(record)).hexdigest()},
        "mediaType": "application/json",
        "annotations": {"gates": record.gates, **short},
    }
