"""The ledger: one line per published file, append-only; everything the index shows is rendered from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One published wheel.

    ``url`` is the absolute address of the file, or empty where it stands beside its page. ``size`` is in bytes,
    ``uploaded`` in UTC as PEP 700 wants it ("2026-11-21T04:00:00Z"), ``metadata_sha256`` that of the wheel's METADATA.
    ``archs`` is the GPU code it compiled ("sm_75"). ``smoke`` is the evidence of the CPU smoke test, ``gpu_smoke`` that of the one
    on a GPU, None where nobody ran it. ``yanked`` is None, or the reason, which may be empty (PEP 592).
    ``attestation`` is the address of a signature, where there is one.
    """

    project: str
    version: str
    file: str
    line: str
    url: str
    sha256: str
    size: int
    uploaded: str
    requires_python: str
    metadata_sha256: str
    target: str
    archs: tuple[str, ...] = ()
    smoke: dict[str, Any] | None = None
    gpu_smoke: dict[str, Any] | None = None
    yanked: str | None = None
    attestation: str | None = None

    @property
    def folder(self) -> str:
        """The project's page below the root of the site, with the name normalized (PEP 503)."""
        return f"{self.line}/{canonicalize_name(self.project)}"

    @property
    def pin(self) -> str:
        """The requirement that selects this version and nothing else."""
        return f"{self.project}=={self.version}"
