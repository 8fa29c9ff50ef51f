"""Renders the lines of a ledger as the pages that installers read, one sub-index per CUDA line; pure.

The HTML follows PEP 503 with 592 (yank), 629 and 792 (meta), 658 and 714 (sidecars), and has PEP 700's upload time and
size as attributes, which uv reads. The JSON follows PEP 691 and 700, for hosts that can set content types.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from functools import cache, partial
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import Version

from tfwheel.index.atomic_tree import Part
from tfwheel.index.errors import NameTakenError
from tfwheel.system import sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

API_VERSION = "1.4"  # from PEP 792; PEP 833 freezes HTML at it
HEAD = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="pypi:repository-version" content="{API_VERSION}">
%s<title>%s</title>
</head>
<body>
"""
FOOT = "</body>\n</html>\n"
STATUS = '<meta name="pypi:project-status" content="active">\n'
encode = msgspec.json.Encoder().encode


class ListedFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The fields of a LedgerEntry that the pages show, with the same names and meanings."""

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
    yanked: str | None = None
    removed: str | None = None


def rows(ledger: bytes) -> list[ListedFile]:
    """Decode the rows of all files that were not removed; the ledger must be valid, which is not checked here."""
    return [row for row in msgspec.json.Decoder(ListedFile).decode_lines(ledger) if row.removed is None]


normalized = cache(canonicalize_name)
version = cache(Version)


def parts(rows: Iterable[ListedFile]) -> dict[str, Part]:
    """Return the pages as parts of a tree, one per line and one per project of a line; unchanged parts are reused.

    Rows in any order give equal bytes. Making a part raises NameTakenError when its page would list a file name twice.
    """
    projects: dict[str, dict[str, list[ListedFile]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        projects[row.line][normalized(row.project)].append(row)
    found = {}
    for line, members in sorted(projects.items()):
        names = sorted(members)
        found[line] = Part(key=_key(names), make=partial(_line_pages, line, names))
        for name in names:
            found[f"{line}/{name}"] = Part(
                key=_key(members[name]), make=partial(_project_pages, line, name, members[name])
            )
    return found


def _key(facts: object) -> str:
    """Return a digest of the facts on some pages and of this code."""
    return hashlib.sha256(encode([sources.digest(__name__), facts])).hexdigest()


def _line_pages(line: str, names: Sequence[str]) -> dict[str, bytes]:
    """Render the list of a line's projects."""
    links = (f'<a href="{name}/">{name}</a><br>\n' for name in names)
    listing = {"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in names]}
    return {
        f"{line}/index.html": _html("", f"Projects for {line}", links),
        f"{line}/index.json": encode(listing) + b"\n",
    }


def _project_pages(line: str, name: str, rows: Sequence[ListedFile]) -> dict[str, bytes]:
    """Render the list of a project's files, oldest version first."""
    if len({row.file for row in rows}) < len(rows):
        message = f"{line}/{name} would list a file name twice"
        raise NameTakenError(message)
    ordered = sorted(rows, key=lambda row: (version(row.version), row.file))
    head = {
        "meta": {"api-version": API_VERSION},
        "name": name,
        "project-status": {"status": "active"},
        "versions": list(dict.fromkeys(row.version for row in ordered)),
    }
    return {
        f"{line}/{name}/index.html": _html(STATUS, f"Links for {name}", map(_link, ordered)),
        f"{line}/{name}/index.json": _json(head, map(_file, ordered)),
    }


def _html(meta: str, title: str, links: Iterable[str]) -> bytes:
    """Join a page from bytes: with 100,000 links, each further copy would take 60 MB."""
    return b"".join([(HEAD % (meta, title)).encode(), *(link.encode() for link in links), FOOT.encode()])


def _json(head: dict[str, Any], files: Iterable[dict[str, Any]]) -> bytes:
    """Add the files to the head, each on a line of its own."""
    lines = b",\n".join(encode(file) for file in files)
    return b"".join([encode(head)[:-1], b',"files":[\n', lines, b"\n]}\n"])


def _link(row: ListedFile) -> str:
    """Render one file as a line of HTML; the sidecar has two equal attributes, the older one for pip before 23.2."""
    python = f' data-requires-python="{escape(row.requires_python)}"' if row.requires_python else ""
    yanked = "" if row.yanked is None else f' data-yanked="{escape(row.yanked)}"'
    return (
        f'<a href="{_href(row)}#sha256={row.sha256}"{python}'
        f' data-core-metadata="sha256={row.metadata_sha256}" data-dist-info-metadata="sha256={row.metadata_sha256}"'
        f' data-upload-time="{row.uploaded}" data-size="{row.size}"{yanked}>{escape(row.file)}</a><br>\n'
    )


def _file(row: ListedFile) -> dict[str, Any]:
    """Return one file for the JSON page."""
    facts = {
        "filename": row.file,
        "url": row.url or quote(row.file),
        "hashes": {"sha256": row.sha256},
        "size": row.size,
        "upload-time": row.uploaded,
        "core-metadata": {"sha256": row.metadata_sha256},
        "dist-info-metadata": {"sha256": row.metadata_sha256},
        "yanked": False if row.yanked is None else row.yanked or True,
    }
    return facts | ({"requires-python": row.requires_python} if row.requires_python else {})


def _href(row: ListedFile) -> str:
    return escape(row.url) if row.url else quote(row.file)
