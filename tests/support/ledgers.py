"""Ledger entries for tests: valid ones, by the number of their build."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from tfwheel.index.ledger_entry import LedgerEntry

START = datetime(2026, 11, 21, tzinfo=UTC)


def entry(build: int = 1, **facts: Any) -> LedgerEntry:  # noqa: ANN401 -- the types of the fields
    """A published wheel; build N was uploaded N seconds into the day."""
    file = f"tensorflow-2.20.0+cu125.{build}-cp312-cp312-manylinux_2_17_x86_64.whl"
    values: dict[str, Any] = {
        "project": "tensorflow",
        "version": f"2.20.0+cu125.{build}",
        "file": file,
        "line": "cu12",
        "url": f"https://example.org/releases/download/v1/{file.replace('+', '%2B')}",
        "sha256": hashlib.sha256(file.encode()).hexdigest(),
        "size": 1000 + build,
        "uploaded": f"{START + timedelta(seconds=build):%Y-%m-%dT%H:%M:%SZ}",
        "requires_python": ">=3.9",
        "metadata_sha256": hashlib.sha256(b"METADATA" + file.encode()).hexdigest(),
        "target": "tf2.20.0-cp312-cu12",
        "gpu_code": {"ops": ("sm_75", "compute_90")},
        "smoke": {"passed": True, "python": "3.12"},
    }
    return LedgerEntry(**(values | facts))
