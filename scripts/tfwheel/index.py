"""Pure: from the facts of wheels to the bytes of a static package index, one sub-index per CUDA line."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from packaging.metadata import parse_email
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from tfwheel import records
from tfwheel.config import ROOT
from tfwheel.errors import BadWheelError, IndexEntryError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tfwheel.records import Record

TEMPLATES = ROOT / "index" / "templates"


@dataclass(frozen=True, kw_only=True)
class IndexFile:
    """One wheel as an index lists it.

    ``url`` is percent-encoded and may be relative to the project's page. ``size`` is in bytes, ``metadata`` the
    wheel's own METADATA, byte for byte.
    """

    project: str
    version: str
    file: str
    line: str
    url: str
    sha256: str
    size: int
    requires_python: str
    metadata: bytes = field(repr=False)

    @property
    def folder(self) -> str:
        """The project's page below the root of the site, with the name normalized (PEP 503)."""
        return f"{self.line}/{canonicalize_name(self.project)}"

    @property
    def pin(self) -> str:
        """The requirement that selects this version and nothing else."""
        return f"{self.project}=={self.version}"


def publishable(record: Record) -> str | None:
    """Why a wheel must not be listed, or None: no passing smoke report, no line in the index."""
    if record.passed_smoke:
        return None
    if record.smoke is None:
        return "it was never smoke-tested"
    if record.smoke.get("wheel_sha256") != record.sha256:
        return "its smoke report is about other bytes"
    return f"its smoke test failed: {record.smoke.get('reason')}"


def from_wheel(wheel: Path, *, line: str, sha256: str | None = None, metadata: bytes | None = None) -> IndexFile:
    """Read what the index says about a wheel; ``sha256`` and ``metadata`` spare reading it where they are known.

    Raises BadWheelError for a file that is no wheel, and IndexEntryError where file name and METADATA differ
    (pip refuses such a wheel).
    """
    named = _named(wheel.name)
    metadata = metadata or _metadata(wheel)
    fields, _ = parse_email(metadata)
    name, version = fields.get("name", ""), fields.get("version", "")
    if named != (canonicalize_name(name), _version(version)):
        message = f"{wheel}: the file name says {wheel.name.split('-')[:2]}, METADATA says {[name, version]}"
        raise IndexEntryError(message, remedy="Build the wheel again; never rename one.")
    return IndexFile(
        project=name,
        version=version,
        file=wheel.name,
        line=line,
        url=quote(wheel.name),
        sha256=sha256 or records.sha256_of(wheel),
        size=wheel.stat().st_size,
        requires_python=fields.get("requires_python", ""),
        metadata=metadata,
    )


def render(files: Iterable[IndexFile]) -> dict[str, bytes]:
    """All pages and sidecars of a site, by path below its root; equal files give equal bytes in any order.

    Project pages follow PEP 503 with the attributes of PEP 658 and 714; ``<wheel>.metadata`` beside them holds
    each wheel's METADATA. The page at the root is for people. Raises IndexEntryError when a file name stands for
    two different files.
    """
    entries = sorted(_unique(files), key=lambda entry: (entry.folder, Version(entry.version), entry.file))
    pages = {f"{entry.folder}/{entry.file}.metadata": entry.metadata for entry in entries}
    for folder, group in groupby(entries, key=lambda entry: entry.folder):
        pages[f"{folder}/index.html"] = _page(f"Links for {folder}", [_link(entry) for entry in group])
    pins: dict[str, list[str]] = {}
    for line, group in groupby(entries, key=lambda entry: entry.line):
        members = list(group)
        names = dict.fromkeys(entry.folder.partition("/")[2] for entry in members)
        links = [{"href": f"{name}/", "text": name, "attributes": {}} for name in names]
        pages[f"{line}/index.html"] = _page(f"Projects for {line}", links)
        pins[line] = list(dict.fromkeys(entry.pin for entry in members))
    pages["index.html"] = _templates().get_template("root.html").render(lines=pins).encode()
    return pages


def _unique(files: Iterable[IndexFile]) -> Iterable[IndexFile]:
    by_place: dict[tuple[str, str], IndexFile] = {}
    hashes: dict[str, str] = {}
    for entry in files:
        if hashes.setdefault(entry.file, entry.sha256) != entry.sha256:
            message = f"{entry.file} stands for two files: sha256 {hashes[entry.file]} and {entry.sha256}"
            raise IndexEntryError(message)
        by_place[entry.folder, entry.file] = entry
    return by_place.values()


def _link(entry: IndexFile) -> dict[str, Any]:
    digest = f"sha256={hashlib.sha256(entry.metadata).hexdigest()}"
    attributes = {"data-core-metadata": digest, "data-dist-info-metadata": digest}
    if entry.requires_python:
        attributes = {"data-requires-python": entry.requires_python, **attributes}
    return {"href": f"{entry.url}#sha256={entry.sha256}", "text": entry.file, "attributes": attributes}


def _page(title: str, links: list[dict[str, Any]]) -> bytes:
    return _templates().get_template("page.html").render(title=title, links=links).encode()


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )


def _metadata(wheel: Path) -> bytes:
    """METADATA of exactly the dist-info folder that the file name calls for."""
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


def _named(file: str) -> tuple[str, Version]:
    try:
        return parse_wheel_filename(file)[:2]
    except InvalidWheelFilename as error:
        raise IndexEntryError(str(error), remedy="Build the wheel again; never rename one.") from error


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
