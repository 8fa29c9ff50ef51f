"""Read and edit what makes a zip a wheel: RECORD, WHEEL (both as bytes), the file name, and what an index repeats."""

from __future__ import annotations

import base64
import csv
import io
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from tfwheel.config import github_limits
from tfwheel.errors import BadWheelError
from tfwheel.wheel import core_metadata
from tfwheel.wheel.errors import IndexEntryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


HASHES = {"sha256": 32, "sha384": 48, "sha512": 64}  # PEP 427: sha256 or better; digest sizes in bytes
SIDECAR = ".metadata"  # PEP 658: the METADATA of a wheel is served at the wheel's URL with this suffix
REBUILD = "Build the wheel again; never rename one."
SIZE = re.compile(r"[0-9]{0,15}")  # of a file in RECORD: bytes, or nothing
SIGNATURES = ("RECORD.jws", "RECORD.p7s")  # PEP 427: signatures of RECORD, the only files that it need not list
GENERATOR = "tfwheel"
LONGEST = 16 << 20  # bytes of METADATA; TensorFlow's has 5,000
LEGACY_ALIAS = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}  # PEP 600
MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(\w+)")


class RecordRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of RECORD: hash algorithm, raw digest, size in bytes (None where RECORD leaves it out)."""

    algorithm: str
    digest: bytes
    size: int | None


# --- RECORD ----------------------------------------------------------------------------------------------


def parse_record(data: bytes, own_name: str) -> dict[str, RecordRow]:
    """Read RECORD into rows by path, without its own row, which has no hash and must be there (PEP 376).

    Raises ValueError for a malformed row, a path listed twice, a signature that is listed (PEP 427), a weak or missing
    hash, and a character that some programs take for the end of a line (U+0085).
    """
    rows: dict[str, RecordRow] = {}
    lines = data.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")
    seen: set[str] = set()
    for fields in csv.reader(_printable(lines), strict=True):
        path, hash_text, size = _three(fields)
        if path in seen:
            message = f"RECORD lists `{path}` twice"
            raise ValueError(message)
        seen.add(path)
        if path != own_name:
            rows[path] = _record_row(path, hash_text, size)
        elif hash_text or size:
            message = f"RECORD has a hash or size for itself: {hash_text!r}, {size!r}"
            raise ValueError(message)
    if own_name not in seen:
        message = f"RECORD does not list `{own_name}`"
        raise ValueError(message)
    return rows


def _printable(lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.isprintable():
            message = f"RECORD has a control character or the like in line {number}"
            raise ValueError(message)
        yield line


def _three(fields: list[str]) -> tuple[str, str, str]:
    if len(fields) != 3:  # noqa: PLR2004 -- path, hash, size
        message = f"RECORD has a row of {len(fields)} fields: {fields!r}"
        raise ValueError(message)
    return fields[0], fields[1], fields[2]


def _record_row(path: str, hash_text: str, size: str) -> RecordRow:
    algorithm, _, encoded = hash_text.partition("=")
    try:
        digest = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        digest = b""
    sound = len(digest) == HASHES.get(algorithm) and _encoded(digest) == encoded
    if not sound or not SIZE.fullmatch(size):
        message = f"RECORD has no sound sha256 (or better) and size for `{path}`: {hash_text!r}, {size!r}"
        raise ValueError(message)
    return RecordRow(algorithm=algorithm, digest=digest, size=int(size) if size else None)


def _encoded(digest: bytes) -> str:
    """Encode a digest as RECORD does (PEP 376)."""
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def format_record(rows: Iterable[tuple[str, RecordRow]], own_name: str) -> bytes:
    """Return the bytes of RECORD; its own row, which has no hash, comes last (PEP 376, PEP 427)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for path, row in rows:
        writer.writerow((path, f"{row.algorithm}={_encoded(row.digest)}", "" if row.size is None else row.size))
    writer.writerow((own_name, "", ""))
    return text.getvalue().encode()


# --- WHEEL and the file name -----------------------------------------------------------------------------


def edit_wheel(data: bytes, tags: Sequence[str]) -> bytes:
    """Return WHEEL with other tags and this project as generator; the other lines are unchanged."""
    lines = [line for line in data.decode("utf-8").splitlines() if line.strip()]
    lines = [line for line in lines if line.partition(":")[0].lower() not in {"tag", "generator"}]
    generator = f"Generator: {GENERATOR}"
    return "\n".join([lines[0], generator, *lines[1:], *(f"Tag: {tag}" for tag in tags), ""]).encode()


def stricter_platforms(wheels: Sequence[str]) -> tuple[str, ...]:
    """Return the platform tags of a wheel made from all these: those of the wheel that needs the newest glibc.

    Takes file names. A wheel with several tags runs wherever one of them is supported, so its oldest glibc counts;
    `any` needs none. The result includes the legacy alias of the glibc version, if there is one (PEP 600). Raises
    BadWheelError for a platform that is not manylinux, and for two architectures.
    """
    needs = [_oldest_glibc(wheel) for wheel in wheels]
    found = [need for need in needs if need]
    architectures = {architecture for _, architecture in found}
    if len(architectures) != 1:
        message = f"{' + '.join(wheels)}: one architecture is needed, found {sorted(architectures) or 'none'}"
        raise BadWheelError(message)
    (architecture,) = architectures
    glibc = max(version for version, _ in found)
    modern = f"manylinux_{glibc[0]}_{glibc[1]}_{architecture}"
    return (modern, f"{LEGACY_ALIAS[glibc]}_{architecture}") if glibc in LEGACY_ALIAS else (modern,)


def _oldest_glibc(wheel: str) -> tuple[tuple[int, int], str] | None:
    """Return the oldest (glibc version, architecture) that a wheel supports, None for pure Python."""
    platforms = {tag.platform for tag in parse_wheel_filename(wheel)[3]}
    if platforms == {"any"}:
        return None
    modern = [MANYLINUX.fullmatch(_modern(platform)) for platform in platforms]
    found = [((int(match[1]), int(match[2])), match[3]) for match in modern if match]
    if len(found) != len(platforms):
        message = f"{wheel} is not a manylinux wheel, so its file name does not say where it runs"
        raise BadWheelError(message, remedy="Repair it with auditwheel first.")
    return min(found)


def _modern(platform: str) -> str:
    for (major, minor), alias in LEGACY_ALIAS.items():
        if platform.startswith(alias + "_"):
            return platform.replace(alias, f"manylinux_{major}_{minor}", 1)
    return platform


# --- facts for an index ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class IndexFacts:
    """The values of METADATA that an index repeats."""

    project: str
    version: str
    requires_python: str


def metadata_of(wheel: Path) -> bytes:
    """Read METADATA from the dist-info folder that the file name implies; raise BadWheelError if it is not there."""
    member = "-".join(wheel.name.split("-")[:2]) + ".dist-info/METADATA"
    try:
        with zipfile.ZipFile(wheel) as archive:
            entry = archive.getinfo(member)
            if entry.file_size > LONGEST or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                message = f"{wheel}: {member} is not compressed as in a wheel, or has {entry.file_size} bytes"
                raise BadWheelError(message)
            return archive.read(member)
    except KeyError as error:
        message = f"{wheel} has no {member}"
        raise BadWheelError(message) from error
    except (OSError, EOFError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error) as error:
        message = f"{wheel} is not a wheel: {error}"
        raise BadWheelError(message) from error


def facts_of(file: str, metadata: bytes) -> IndexFacts:
    """Read METADATA and compare it with the file name; raise IndexEntryError if an installer would reject it."""
    named = named_by(file)
    try:
        fields = core_metadata.fields_of(metadata)
        name, version, python = fields.get("name", ""), fields.get("version", ""), fields.get("requires_python", "")
        stated = canonicalize_name(name), Version(version)
        SpecifierSet(python)
        for requirement in fields.get("requires_dist", []):
            Requirement(requirement)
    except ValueError as error:
        message = f"{file}: its METADATA cannot be read: {error}"
        raise IndexEntryError(message, remedy=REBUILD) from error
    if named != stated:
        message = f"{file}: METADATA is for {name!r} {version!r}"
        raise IndexEntryError(message, remedy=REBUILD)
    return IndexFacts(project=name, version=version, requires_python=python)


def named_by(file: str) -> tuple[str, Version]:
    """Return normalised project and version of a wheel's file name; raise IndexEntryError if it cannot be served.

    A release host renames an asset with unusual characters (an epoch's `!`, a space, `~`), which breaks links to it.
    """
    try:
        name, version, _, _ = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        raise IndexEntryError(str(error), remedy="Only wheels are listed. " + REBUILD) from error
    if not github_limits.ASSET_NAME.fullmatch(file):
        unusual = "".join(sorted(set(re.sub(r"[A-Za-z0-9._+-]", "", file)))) or file[0]
        message = f"{file}: a release host would rename it, because of `{unusual}`"
        raise IndexEntryError(message, remedy="Give it a version without an epoch, and plain characters only.")
    return name, version
