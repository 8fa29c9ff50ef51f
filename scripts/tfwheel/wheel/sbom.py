"""Write and check the SBOM inside every wheel: a CycloneDX 1.6 document at ``<dist-info>/sboms/`` (PEP 770).

Writes plain JSON without a library, whose next version could change bytes of the wheel. The tests validate the
documents against the official schema.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.utils import canonicalize_name

from tfwheel.config.targets import WHEEL_EPOCH
from tfwheel.wheel.errors import SbomGateError
from tfwheel.wheel.patches import patches_of, read_text
from tfwheel.wheel.reader import WheelReader
from tfwheel.wheel.writer import Changes, NewFile, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tfwheel.config.targets import Base, Target

    Component = dict[str, Any]

SUFFIX = ".cdx.json"
MEMBER = f"sboms/tfwheel{SUFFIX}"
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
LICENSES = [{"license": {"id": "Apache-2.0"}}]  # of TensorFlow, of this project and of its ops
NOT_ON_PYPI = ("zlib", "host compiler", "device compiler", "container image")


def purl(name: str, version: str, *, file: str = "") -> str:
    """Return the package URL (purl, type pypi) of a project's version on PyPI, or of one ``file`` of it."""
    qualifier = f"?file_name={quote(file, safe='')}" if file else ""
    return f"pkg:pypi/{canonicalize_name(name)}@{quote(version, safe='')}{qualifier}"


def built_from(name: str, version: str, source: str) -> str:
    """Return the package URL (purl, type generic) of what was built from a tree, with its address if that is in git."""
    qualifier = f"?vcs_url={quote(source.partition(' ')[0], safe='')}" if source.startswith("git+") else ""
    return f"pkg:generic/{name}@{quote(version, safe='')}{qualifier}"


def of_ops(*, project: str, target: Target, ops: Iterable[str], tools: Mapping[str, str]) -> bytes:
    """Return the SBOM of an ops wheel: its ops, and the tools that compiled and packed them.

    ``tools`` maps names to versions: compilers, the parts of the CUDA toolkit, build tools. Leaves out whatever does
    not decide the wheel's bytes (commit, machine, date), so the same inputs give the same document.
    """
    gpu = [("tfwheel:gpu-code", code) for code in target.line.gpu_code]
    properties = [("tfwheel:target", target.ops_id), *(("tfwheel:op", op) for op in sorted(ops)), *gpu]
    subject = _library(project, target.version, properties=properties)
    made_with = [_tool(name, version) for name, version in sorted(tools.items())]
    return _document(subject, made_with, {subject["bom-ref"]: made_with})


def of_merged(*, project: str, target: Target, locked: Base, patches: Path, ops: bytes | None) -> bytes:
    """Return the SBOM of a merged wheel: the wheel it was made from, every patch as text, and the ops.

    ``ops`` is the SBOM of the ops wheel, whose components are added to this one; None without ops.
    """
    official = _library(locked.project, locked.version, file=locked.file, source=locked.source)
    official["hashes"] = [{"alg": "SHA-256", "content": locked.sha256}]
    properties = [("tfwheel:target", target.id), ("tfwheel:python", target.python)]
    properties += [("tfwheel:cuda", target.line.cuda)] if target.line.cuda else []
    subject = _library(project, target.version, properties=properties)
    ancestor = {name: value for name, value in official.items() if name != "bom-ref"}
    subject["pedigree"] = {"ancestors": [ancestor], "patches": _patches(patches)}
    inner = json.loads(ops) if ops else {}
    ops_parts = [inner["metadata"]["component"]] if ops else []
    made_with = inner.get("components", [])
    depends = {subject["bom-ref"]: [official, *ops_parts]} | {part["bom-ref"]: made_with for part in ops_parts}
    return _document(subject, [official, *ops_parts, *made_with], depends)


def of_file(inner: bytes, *, sha256: str) -> bytes:
    """Return the SBOM file for beside a wheel: the one inside, plus the wheel's hash, which that one cannot contain."""
    document = json.loads(inner)
    document["metadata"]["component"]["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return _written(document)


def embed(wheel: Path, document: bytes) -> None:
    """Add an SBOM to a wheel's metadata folder, in place; all other members but RECORD keep their bytes."""
    with WheelReader(wheel) as reader:
        name = f"{reader.dist_info}/{MEMBER}"
        changes = Changes(dist_info=reader.dist_info, epoch=WHEEL_EPOCH, add={name: NewFile(content=[document])})
        merge(reader, wheel, changes=changes)


def read(wheel: WheelReader) -> bytes:
    """Read the SBOM inside a wheel; raise SbomGateError without one."""
    name = f"{wheel.dist_info}/{MEMBER}"
    if name not in wheel.names():
        message = f"{wheel.path.name} has no SBOM (`{name}`)"
        raise SbomGateError(message)
    return wheel.read(name)


def check(wheel: WheelReader, *, project: str, version: str, base_sha256: str | None) -> str:
    """Check the SBOM inside a wheel against the wheel; return a line for the record.

    ``base_sha256`` is the hash of the official wheel it was made from, None for one made from sources. Raises
    SbomGateError when the SBOM is missing or unreadable, is of another wheel, or names another origin.
    """
    data = read(wheel)
    try:
        document = json.loads(data)
        subject, count = document["metadata"]["component"], len(document["components"])
        ancestors = subject.get("pedigree", {}).get("ancestors", [])
        hashes = [one["content"] for ancestor in ancestors for one in ancestor["hashes"]]
        facts = {
            "format": (document["specVersion"], "1.6"),
            "subject": (subject["purl"], purl(project, version)),
            "origin": (hashes, [base_sha256] if base_sha256 else []),
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{wheel.path.name}: its SBOM is not a CycloneDX document: {type(error).__name__}: {error}"
        raise SbomGateError(message) from error
    for what, (found, expected) in facts.items():
        if found != expected:
            message = f"{wheel.path.name}: its SBOM has the {what} {found}; it should be {expected}"
            raise SbomGateError(message)
    return f"CycloneDX 1.6, {count} components"


def _library(
    name: str, version: str, *, file: str = "", source: str = "", properties: Iterable[tuple[str, str]] = ()
) -> Component:
    """Return a component that is in the wheel; with ``source`` it is not what PyPI has, but built from that tree."""
    package_url = built_from(name, version, source) if source else purl(name, version, file=file)
    properties = [*properties, *([("tfwheel:source", source)] if source else [])]
    component: Component = {"type": "library", "bom-ref": package_url, "name": name, "version": version}
    component |= {"purl": package_url, "licenses": LICENSES}
    listed = [{"name": key, "value": value} for key, value in properties]
    return component | ({"properties": listed} if listed else {})


def _tool(name: str, version: str) -> Component:
    """Return a component that made the wheel and is not in it."""
    component = {"type": "application", "bom-ref": f"tool:{quote(name)}", "name": name, "version": version}
    return component | {"scope": "excluded"} | ({} if name in NOT_ON_PYPI else {"purl": purl(name, version)})


def _patches(folder: Path) -> list[Component]:
    """Return every patch of a folder, unchanged (`@VERSION@` is not filled in)."""
    return [
        {
            "type": "unofficial",
            "diff": {
                "text": {"contentType": "text/x-diff", "content": read_text(patch)},
                "url": quote(f"patches/{folder.name}/{patch.name}"),
            },
        }
        for patch in patches_of(folder)
    ]


def _document(subject: Component, components: list[Component], depends: Mapping[str, list[Component]]) -> bytes:
    date = datetime.fromtimestamp(WHEEL_EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _written(
        {
            "$schema": SCHEMA,
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "timestamp": date,
                "lifecycles": [{"phase": "build"}],
                "tools": {"components": [{"type": "application", "name": "tfwheel"}]},
                "component": subject,
            },
            "components": components,
            "dependencies": [
                {"ref": ref, "dependsOn": [part["bom-ref"] for part in parts]} for ref, parts in depends.items()
            ],
        }
    )


def _written(document: dict[str, Any]) -> bytes:
    """Return a document as bytes; its serial number is derived from the rest."""
    rest = {key: value for key, value in document.items() if key != "serialNumber"}
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(rest, sort_keys=True))
    return (json.dumps(rest | {"serialNumber": serial.urn}, indent=2, sort_keys=True) + "\n").encode()
