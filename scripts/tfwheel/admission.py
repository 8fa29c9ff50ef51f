"""Decides whether a wheel may enter the index, and says what the ledger then holds about it."""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from tfwheel import records
from tfwheel.errors import BadWheelError, IndexEntryError
from tfwheel.ledger import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.records import Record

SIDECAR = ".metadata"  # PEP 658
# What of a smoke report the ledger keeps; the whole of it is in the record.
EVIDENCE = ("passed", "date", "python", "client", "gpu", "wheel_sha256")
SIZE_LIMIT = 2 << 30  # bytes; a release asset must be smaller
KEPT_BY_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
REBUILD = "Build the wheel again; never rename one."


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What METADATA says that an index repeats."""

    project: str
    version: str
    requires_python: str


def publishable(record: Record) -> str | None:
    """Why a wheel must not be listed, or None: no passing smoke report, no line; nor after a failed one on a GPU."""
    if record.smoke is None:
        return "it was never smoke-tested"
    for report, passed, name in (
        (record.smoke, record.passed_smoke, "smoke"),
        (record.gpu_smoke, record.passed_gpu_smoke, "GPU smoke"),
    ):
        if report is None or passed:
            continue
        if report.get("wheel_sha256") != record.sha256:
            return f"its {name} report is about other bytes"
        return f"its {name} test failed: {report.get('reason')}"
    return None


def entry_from(wheel: Path, record: Record, *, url: str, uploaded: str) -> Entry:
    """The ledger's entry for a built wheel, after every check; ``url`` and ``uploaded`` as in Entry.

    Raises IndexEntryError when the wheel must not be listed (no passing smoke test on these bytes, a name that the
    host or installers do not take, too large, a sidecar of other bytes), and BadWheelError when it is no wheel.
    """
    check_size(wheel.name, record.size)
    reason = publishable(record) or _stranger(wheel, record)
    if reason:
        message = f"{wheel.name} may not enter the index: {reason}"
        raise IndexEntryError(message, remedy="Build and smoke-test the target again; only what passed is listed.")
    metadata = metadata_of(wheel)
    facts = facts_of(wheel.name, metadata)
    sidecar = wheel.with_name(wheel.name + SIDECAR)
    if sidecar.exists() and sidecar.read_bytes() != metadata:
        message = f"{sidecar} is not the METADATA of its wheel"
        raise IndexEntryError(message, remedy="Delete the sidecar; publishing writes it from the wheel.")
    return Entry(
        project=facts.project,
        version=facts.version,
        file=wheel.name,
        line=record.line,
        url=url,
        sha256=record.sha256,
        size=record.size,
        uploaded=uploaded,
        requires_python=facts.requires_python,
        metadata_sha256=sha256(metadata).hexdigest(),
        target=record.target,
        archs=tuple(record.archs),
        smoke=_evidence(record.smoke),
        gpu_smoke=_evidence(record.gpu_smoke),
    )


def metadata_of(wheel: Path) -> bytes:
    """METADATA of exactly the dist-info folder that the file name calls for; BadWheelError without one."""
    member = "-".join(wheel.name.split("-")[:2]) + ".dist-info/METADATA"
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(member)
    except KeyError as error:
        message = f"{wheel} has no {member}"
        raise BadWheelError(message) from error
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        message = f"{wheel} is not a wheel: {error}"
        raise BadWheelError(message) from error


def facts_of(file: str, metadata: bytes) -> Facts:
    """Read METADATA and hold it against the wheel's file name; IndexEntryError when an installer would refuse it."""
    named = named_by(file)
    fields, _ = parse_email(metadata)
    name, version, python = fields.get("name", ""), fields.get("version", ""), fields.get("requires_python", "")
    try:
        says = canonicalize_name(name), Version(version)
        SpecifierSet(python)
        for requirement in fields.get("requires_dist", []):
            Requirement(requirement)
    except (InvalidVersion, InvalidSpecifier, InvalidRequirement) as error:
        message = f"{file}: its METADATA cannot be read: {error}"
        raise IndexEntryError(message, remedy=REBUILD) from error
    if named != says:
        message = f"{file}: METADATA is for {name!r} {version!r}"
        raise IndexEntryError(message, remedy=REBUILD)
    return Facts(project=name, version=version, requires_python=python)


def named_by(file: str) -> tuple[str, Version]:
    """Normalized project and version of a wheel's file name; IndexEntryError for a name that cannot be served.

    A release host renames an asset with other characters than these (an epoch's `!`, a space, `~`), so that no
    link would find it.
    """
    try:
        name, version, _, _ = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        raise IndexEntryError(str(error), remedy="Only wheels are listed. " + REBUILD) from error
    if not KEPT_BY_HOST.fullmatch(file):
        strange = "".join(sorted(set(re.sub(r"[A-Za-z0-9._+-]", "", file)))) or file[0]
        message = f"{file}: a release host would rename it, because of `{strange}`"
        raise IndexEntryError(message, remedy="Give it a version without an epoch, and plain characters only.")
    return name, version


def check_size(file: str, size: int) -> None:
    """IndexEntryError unless a release host takes a file of that many bytes."""
    if not 0 < size < SIZE_LIMIT:
        message = f"{file} has {size:,} bytes; a release asset has at least 1 and fewer than {SIZE_LIMIT:,}"
        raise IndexEntryError(message, remedy="Drop GPU archs of the line in lines.toml and build again.")


def _evidence(report: dict[str, Any] | None) -> dict[str, Any] | None:
    return {name: value for name, value in report.items() if name in EVIDENCE} if report else None


def _stranger(wheel: Path, record: Record) -> str | None:
    """Why this file is not the one that the record describes, or None."""
    if wheel.name != record.file:
        return f"its record is about {record.file}"
    if not wheel.is_file() or wheel.stat().st_size != record.size:
        return f"the file is missing or has not the recorded {record.size:,} bytes"
    if records.sha256_of(wheel) != record.sha256:
        return "the file has not the recorded sha256"
    return None
