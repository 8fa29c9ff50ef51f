"""Renders the entries of a ledger as the pages that installers read, one sub-index per CUDA line; pure.

The HTML follows PEP 503 with 592 (yank), 629 and 792 (meta), 658 and 714 (sidecars), and has PEP 700's upload time and
size as attributes, which uv reads. The JSON follows PEP 691 and 700, for hosts that can set content types.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from functools import cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from markupsafe import Markup

from tfwheel.index import page_templates
from tfwheel.index.atomic_tree import Part
from tfwheel.index.errors import NameTakenError
from tfwheel.index.ledger_entry import LedgerEntry, normalized, parsed_version
from tfwheel.system import digests, sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

API_VERSION = "1.4"  # from PEP 792; PEP 833 freezes HTML at it
LINKS = "\0"  # stands for the links while a page is rendered
STATUS = "active"
# What a page shows of an entry, and so decides its bytes.
SHOWN = ("version", "file", "url", "sha256", "size", "uploaded", "requires_python", "metadata_sha256", "yanked")
ATTRIBUTES = (  # of a link; the sidecar has two equal ones, the older for pip before 23.2
    *("href", "data-requires-python", "data-core-metadata", "data-dist-info-metadata"),
    *("data-upload-time", "data-size", "data-yanked"),
)
shown = attrgetter(*SHOWN)
encode = msgspec.json.Encoder().encode


def parts(entries: Iterable[LedgerEntry]) -> dict[str, Part]:
    """Return the pages as parts of a tree, one per line and one per project of a line; unchanged parts are reused.

    Removed files are on no page. Entries in any order give equal bytes. Making a part raises NameTakenError when its
    page would list a file name twice.
    """
    projects: dict[str, dict[str, list[LedgerEntry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        if entry.removed is None:
            projects[entry.line][normalized(entry.project)].append(entry)
    found = {}
    for line, members in sorted(projects.items()):
        names = sorted(members)
        found[line] = Part(key=_key(names), make=partial(_line_pages, line, names))
        for name in names:
            found[f"{line}/{name}"] = Part(
                key=_key([shown(entry) for entry in members[name]]),
                make=partial(_project_pages, line, name, members[name]),
            )
    return found


def _key(facts: object) -> str:
    """Return a digest of the facts on some pages, of this code and of its templates."""
    return hashlib.sha256(encode([_code(), facts])).hexdigest()


@cache
def _code() -> list[str]:
    return [sources.digest(__name__), digests.of_tree(page_templates.SOURCES)]


def _line_pages(line: str, names: Sequence[str]) -> dict[str, bytes]:
    """Render the list of a line's projects."""
    links = page_templates.elements("a", ("href",), [(f"{name}/", name) for name in names])
    listing = {"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in names]}
    return {
        f"{line}/index.html": _html("", f"Projects for {line}", links),
        f"{line}/index.json": encode(listing) + b"\n",
    }


def _project_pages(line: str, name: str, entries: Sequence[LedgerEntry]) -> dict[str, bytes]:
    """Render the list of a project's files, oldest version first."""
    if len({entry.file for entry in entries}) < len(entries):
        message = f"{line}/{name} would list a file name twice"
        raise NameTakenError(message)
    ordered = sorted(entries, key=lambda entry: (parsed_version(entry.version), entry.file))
    head = {
        "meta": {"api-version": API_VERSION},
        "name": name,
        "project-status": {"status": STATUS},
        "versions": list(dict.fromkeys(entry.version for entry in ordered)),
    }
    return {
        f"{line}/{name}/index.html": _html(
            STATUS, f"Links for {name}", page_templates.elements("a", ATTRIBUTES, map(_link, ordered))
        ),
        f"{line}/{name}/index.json": _json(head, map(_file, ordered)),
    }


def _html(status: str, title: str, links: Iterable[str]) -> bytes:
    """Join a page from bytes: with 100,000 links, each further copy would take 60 MB."""
    page = page_templates.template("simple.html").render(
        api_version=API_VERSION,
        status=status,
        title=title,
        links=Markup(LINKS),  # noqa: S704 -- a placeholder of ours
    )
    head, foot = page.encode().split(LINKS.encode())
    return b"".join([head, *(link.encode() for link in links), foot])


def _json(head: dict[str, Any], files: Iterable[dict[str, Any]]) -> bytes:
    """Add the files to the head, each on a line of its own."""
    lines = b",\n".join(encode(file) for file in files)
    return b"".join([encode(head)[:-1], b',"files":[\n', lines, b"\n]}\n"])


def _link(entry: LedgerEntry) -> tuple[str | None, ...]:
    """Return the values of ATTRIBUTES for one file, and the text of its link."""
    metadata = f"sha256={entry.metadata_sha256}"
    return (
        f"{entry.url or quote(entry.file)}#sha256={entry.sha256}",
        entry.requires_python or None,
        metadata,
        metadata,
        entry.uploaded,
        str(entry.size),
        entry.yanked,
        entry.file,
    )


def _file(entry: LedgerEntry) -> dict[str, Any]:
    """Return one file for the JSON page."""
    facts = {
        "filename": entry.file,
        "url": entry.url or quote(entry.file),
        "hashes": {"sha256": entry.sha256},
        "size": entry.size,
        "upload-time": entry.uploaded,
        "core-metadata": {"sha256": entry.metadata_sha256},
        "dist-info-metadata": {"sha256": entry.metadata_sha256},
        "yanked": False if entry.yanked is None else entry.yanked or True,
    }
    return facts | ({"requires-python": entry.requires_python} if entry.requires_python else {})
