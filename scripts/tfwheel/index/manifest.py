"""The manifest of an index: sha256 and size of every page and of the ledger, in the one file that CI signs.

The manifest covers the pages and the ledger; the ledger covers wheels and sidecars. Whoever trusts the manifest can
check everything else offline.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from tfwheel.errors import UsageError
from tfwheel.index import ledger
from tfwheel.index.errors import ManifestError
from tfwheel.system.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from tfwheel.index.ledger_entry import LedgerEntry

NAME = "manifest.json"
LEDGER = "ledger.jsonl"
VERSION = 1
BESIDE_PAGES = (".whl", ".whl.metadata")
SHOWN_FAULTS = 10
# A path below the root: no empty part, none of dots alone, no backslash, no control character, 255 bytes at most.
PATH = r"^(?!\.{1,2}(/|$))[^/\\\x00-\x1f\x7f]+(/(?!\.{1,2}(/|$))[^/\\\x00-\x1f\x7f]+)*$"
SIGNATURE = (
    f"These are the files that {NAME} names. That {NAME} itself comes from the repository's CI:\n"
    f"  gh attestation verify {NAME} --repo OWNER/REPOSITORY"
)


def seal(files: Mapping[str, Path]) -> dict[str, bytes]:
    """Return the manifest of these files, given by path below the root of the site; equal files give equal bytes.

    Wheels and sidecars are left out: the ledger covers them, and it must be one of the files.
    """
    listed = {
        name: {"sha256": sha256_of(path), "size": path.stat().st_size}
        for name, path in files.items()
        if not name.endswith(BESIDE_PAGES)
    }
    return {NAME: (json.dumps({"files": listed, "version": VERSION}, indent=1, sort_keys=True) + "\n").encode()}


class _Facts(msgspec.Struct, forbid_unknown_fields=True):
    """What a manifest says of one file."""

    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, msgspec.Meta(ge=0)]


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """A whole manifest."""

    files: dict[str, _Facts]
    version: int


def read(data: bytes, *, where: str) -> dict[str, dict[str, Any]]:
    """Read the files that a manifest lists, ``{path: {"sha256": hex, "size": bytes}}``; ManifestError if invalid."""
    try:
        found = msgspec.json.decode(data, type=_Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"{where} is not a manifest: {error}"
        raise ManifestError(message) from error
    if found.version != VERSION or LEDGER not in found.files:
        message = f"{where} is not a manifest of version {VERSION} with a {LEDGER}"
        raise ManifestError(message)
    if odd := next((name for name in found.files if not re.match(PATH, name)), None):
        message = f"{where} lists {odd!r}, which is outside the index"
        raise ManifestError(message)
    return {name: msgspec.structs.asdict(facts) for name, facts in found.files.items()}


def load(path: Path) -> bytes:
    """Return the bytes of the manifest that a user named; UsageError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise UsageError(message, remedy=f"Name the {NAME} of an index.") from error


def check(root: Path) -> int:
    """Check a downloaded index against its own manifest and ledger; returns the number of files checked.

    Wheels with a URL in the ledger are not part of the tree. Raises ManifestError, which names each file that is
    missing, altered or not listed, and UsageError if there is no such folder.
    """
    if not root.is_dir():
        message = f"{root} is not a folder"
        raise UsageError(message, remedy="Name the folder of a downloaded index.")
    try:
        files = read((root / NAME).read_bytes(), where=str(root / NAME))
    except OSError as error:
        message = f"{root / NAME} cannot be read: {error.strerror}"
        raise ManifestError(message) from error
    faults = list(_faults(root, files))
    if not any(fault.startswith(f"{LEDGER} ") for fault in faults):  # an altered ledger proves nothing
        wheels = dict(_beside_pages(ledger.read(root / LEDGER).entries))
        faults += [*_faults(root, wheels), *_unlisted(root, files.keys() | wheels.keys())]
        files |= wheels
    if faults:
        more = f"\n  and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
        message = f"{root} does not match its manifest:\n  " + "\n  ".join(faults[:SHOWN_FAULTS]) + more
        raise ManifestError(message)
    return len(files)


def _beside_pages(entries: Iterable[LedgerEntry]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the wheels and sidecars that are in the tree."""
    for entry in entries:
        if not entry.url and entry.removed is None:
            path = f"{entry.folder}/{entry.file}"
            yield path, {"sha256": entry.sha256, "size": entry.size}
            yield f"{path}.metadata", {"sha256": entry.metadata_sha256, "size": None}


def _faults(root: Path, files: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, facts in sorted(files.items()):
        path = root / name
        if not path.resolve().is_relative_to(root.resolve()):
            yield f"{name} is outside the index"
        elif not path.is_file():
            yield f"{name} is missing"
        elif facts["size"] not in (None, path.stat().st_size):
            yield f"{name} has {path.stat().st_size:,} bytes where {facts['size']:,} are listed"
        elif (digest := sha256_of(path)) != facts["sha256"]:
            yield f"{name} has sha256 {digest} where {facts['sha256']} is listed"


def _unlisted(root: Path, files: Collection[str]) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_dir() and name not in files and name != NAME:
            yield f"{name} is not listed"
