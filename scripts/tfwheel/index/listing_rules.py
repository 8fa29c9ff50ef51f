"""Rules for listing: whether a wheel may enter the index, and its ledger entry."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from tfwheel.config import github_limits
from tfwheel.index import ledger_entry
from tfwheel.index.ledger_entry import Evidence, LedgerEntry
from tfwheel.system import files
from tfwheel.wheel import core_metadata, gencode
from tfwheel.wheel.errors import IndexEntryError
from tfwheel.wheel.metadata import SIDECAR, facts_of, metadata_of

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.wheel.records import Record

# The fields of a smoke report that the ledger keeps; the record has the whole report.
EVIDENCE = tuple(Evidence.__annotations__)


def publishable(record: Record) -> str | None:
    """Return why a wheel must not be listed, or None: it needs a passing smoke report, and no failed one on a GPU."""
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


def entry_from(wheel: Path, record: Record, *, url: str, uploaded: str) -> LedgerEntry:
    """Check a built wheel and return its ledger entry; ``url`` and ``uploaded`` as in LedgerEntry.

    Raises IndexEntryError when the wheel must not be listed (no passing smoke test on these bytes, a name that the
    host or installers reject, too large, a sidecar with other bytes), and BadWheelError when it is not a wheel.
    """
    check_size(wheel.name, record.size)
    reason = publishable(record) or _mismatch(wheel, record)
    if reason:
        message = f"{wheel.name} may not enter the index: {reason}"
        raise IndexEntryError(message)
    metadata = metadata_of(wheel)
    facts = facts_of(wheel.name, metadata)
    sidecar = wheel.with_name(wheel.name + SIDECAR)
    if sidecar.is_file() and sidecar.read_bytes() != metadata:
        message = f"{sidecar} is not the METADATA of its wheel"
        raise IndexEntryError(message, remedy="Delete the sidecar; publishing writes it from the wheel.")
    entry = LedgerEntry(
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
        gpu_code={kind: tuple(images) for kind, images in record.gpu_code.items()},
        smoke=_evidence(record.smoke),
        gpu_smoke=_evidence(record.gpu_smoke),
        inputs=record.inputs,
        requires=tuple(core_metadata.requirements(metadata)),
        gencode=gencode.of_wheel(wheel),
    )
    if found := ledger_entry.fault([entry]):
        message = f"{wheel.name} may not enter the index: no page may show it: {found[1]}"
        raise IndexEntryError(message)
    return entry


def check_size(file: str, size: int) -> None:
    """Raise IndexEntryError unless a release host accepts a file of that many bytes."""
    if not 0 < size < github_limits.ASSET_BYTES:
        message = (
            f"{file} has {size:,} bytes; a release asset has at least 1 and fewer than {github_limits.ASSET_BYTES:,}"
        )
        large = "Drop GPU archs of the line in lines.toml and build again."
        raise IndexEntryError(message, remedy=large if size > 0 else "It is no wheel: build or upload it again.")


def _evidence(report: dict[str, Any] | None) -> Evidence | None:
    return cast("Evidence", {name: report[name] for name in EVIDENCE if name in report}) if report else None


def _mismatch(wheel: Path, record: Record) -> str | None:
    """Return why the file does not match its record, or None."""
    if wheel.name != record.file:
        return f"its record is about {record.file}"
    if not wheel.is_file() or wheel.stat().st_size != record.size:
        return f"the file is missing or does not have the recorded {record.size:,} bytes"
    if files.sha256_of(wheel) != record.sha256:
        return "the file does not have the recorded sha256"
    return None
