"""Read and edit METADATA, an e-mail header in UTF-8 (core metadata specification): names, requirements, extras.

Only lines that change get other bytes. METADATA that two installers could read differently is refused.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfwheel.errors import BadWheelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.metadata import RawMetadata

LICENSE_FILE_SINCE = (2, 4)  # PEP 639
# The headers that may be there once; of two, one installer takes the first and another the last.
ONCE = {
    *("metadata-version", "name", "version", "summary", "description", "description-content-type", "keywords"),
    *("home-page", "download-url", "author", "author-email", "maintainer", "maintainer-email", "license"),
    *("license-expression", "requires-python"),
}


def edit_metadata(
    data: bytes,
    *,
    name: str,
    version: str,
    requires: Sequence[str] = (),
    adds: Sequence[str] = (),
    license_files: Sequence[str] = (),
    python: str = "",
) -> bytes:
    """Return METADATA with another Name and Version, requirements replaced or added, and licence files added.

    ``python`` is a Requires-Python in place of the one that is there.

    ``requires`` replace the official requirements that they cover (see ``covers``), ``adds`` replace none. What it
    requires of itself, as in `tensorflow-cpu[gcs]; extra == "all"`, it then requires of the new name: under the old one
    installers would fetch the official wheel beside it. Every other line, and the description, keeps its bytes.
    License-File needs metadata 2.4 (PEP 639), so an older Metadata-Version is raised. Raises BadWheelError for METADATA
    that installers would read in another way, and for a requirement of an extra beside which an official one without
    the extra would stay.
    """
    with _refusing():
        fields_of(data)
        headers, newline, rest = _split(data)
        headers = _with_own_name(headers, name)
        headers = _with_requirements(headers, requires, adds)
        headers = _with_value(headers, "Name", name)
        headers = _with_value(headers, "Version", version)
        if python:
            headers = [*(line for line in headers if _key(line) != "requires-python"), f"Requires-Python: {python}"]
        if license_files:
            if tuple(int(part) for part in header(headers, "Metadata-Version").split(".")) < LICENSE_FILE_SINCE:
                headers = _with_value(headers, "Metadata-Version", ".".join(map(str, LICENSE_FILE_SINCE)))
            headers += [f"License-File: {path}" for path in license_files]
        edited = (newline.join(headers) + rest).encode()
        now = fields_of(edited)
        if (now.get("name"), now.get("version")) != (name, version) or not {*requires, *adds}.issubset(
            now.get("requires_dist", ())
        ):
            message = "its headers end before an empty line does"
            raise ValueError(message)
    return edited


def fields_of(data: bytes) -> RawMetadata:
    """Read METADATA as installers do (PEP 566: an e-mail header in UTF-8).

    Raises ValueError for what they read differently, or not at all: other encodings, carriage returns that end no line,
    a header twice.
    """
    text = data.decode("utf-8")
    if re.search(r"\r(?!\n)|\0", text.partition("\n\n")[0]):
        message = "a header has a NUL, or a carriage return that ends no line"
        raise ValueError(message)
    fields, unread = parse_email(data)
    if wrong := sorted(ONCE.intersection(unread)):
        message = f"its header {wrong[0].title()} is there more than once, or cannot be read"
        raise ValueError(message)
    return fields


def read(data: bytes) -> RawMetadata:
    """Read METADATA as ``fields_of`` does; raise BadWheelError."""
    with _refusing():
        return fields_of(data)


def header(headers: Sequence[str], key: str) -> str:
    """Return the value of a header; raise BadWheelError unless it is there exactly once."""
    found = [line.partition(":")[2].strip() for line in headers if _key(line) == key.lower()]
    if len(found) != 1:
        message = f"METADATA has {len(found)} headers `{key}` instead of one"
        raise BadWheelError(message)
    return found[0]


def requirements(data: bytes) -> list[str]:
    """Return every Requires-Dist of a METADATA file, as written; raise BadWheelError for one that is unsound."""
    with _refusing():
        fields_of(data)
        found = [line.partition(":")[2].strip() for line in _split(data)[0] if _key(line) == "requires-dist"]
        for one in found:
            identity(one)
    return found


def with_extra(data: bytes, extra: str, requires: Sequence[str]) -> bytes:
    """Return METADATA whose extra asks for ``requires`` alone, which name no extra; every other line keeps its bytes.

    An extra that is not there is added. Raises BadWheelError for METADATA that cannot be read.
    """
    with _refusing():
        fields_of(data)
        headers, newline, rest = _split(data)
        kept = [line for line in headers if not any(_names_extra(one, extra) for one in _required(line))]
        ours = [f"{one}; extra == '{extra}'" for one in requires]
        return (newline.join(_with_requirements(kept, [], ours)) + rest).encode()


def _names_extra(requirement: str, extra: str) -> bool:
    return f'"{extra}"' in str(Requirement(requirement).marker or "")


def identity(requirement: str) -> tuple[str, str]:
    """Return what identifies a requirement: its normalised name and its extra ("" without one)."""
    parsed = Requirement(requirement)
    extra = re.search(r"""\bextra\s*==\s*["']([^"']+)["']""", str(parsed.marker or ""))
    return canonicalize_name(parsed.name), canonicalize_name(extra[1]) if extra else ""


def covers(ours: str, official: str) -> bool:
    """Return whether a requirement of ours takes the place of an official one: same name, and no extra or the same."""
    (name, extra), other = identity(ours), identity(official)
    return (name, extra or other[1]) == other


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn an error of a parser into a BadWheelError about METADATA."""
    try:
        yield
    except ValueError as error:
        message = f"METADATA cannot be read: {error}"
        raise BadWheelError(message) from error


def _split(data: bytes) -> tuple[list[str], str, str]:
    """Split METADATA into headers (a folded one stays one), their newline, and everything after the last header."""
    text = data.decode("utf-8")
    newline = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    head, gap, body = text.partition(newline * 2)
    if not gap:
        head, gap = head.removesuffix(newline), newline
    return re.split(newline + r"(?![ \t])", head), newline, gap + body


def _key(line: str) -> str:
    return line.partition(":")[0].lower()


def _with_value(headers: Sequence[str], key: str, value: str) -> list[str]:
    header(headers, key)
    return [f"{key}: {value}" if _key(line) == key.lower() else line for line in headers]


def _with_own_name(headers: Sequence[str], name: str) -> list[str]:
    """Give the requirements of METADATA's own name another name, the rest of them as it is."""
    old = canonicalize_name(header(headers, "Name"))
    found = []
    for line in headers:
        for own in (one for one in _required(line) if canonicalize_name(Requirement(one).name) == old):
            line = f"{line.partition(':')[0]}: {name}{own[len(Requirement(own).name) :]}"  # noqa: PLW2901 -- one a line
        found.append(line)
    return found


def _with_requirements(headers: Sequence[str], requires: Sequence[str], adds: Sequence[str]) -> list[str]:
    """Put requirements after those that stay, and the extras that only they have after them."""
    kept = [
        line for line in headers if not any(covers(one, official) for official in _required(line) for one in requires)
    ]
    _check_beside(kept, requires)
    place = max((index for index, line in enumerate(kept) if _key(line) == "requires-dist"), default=len(kept) - 1) + 1
    known = {canonicalize_name(line.partition(":")[2].strip()) for line in kept if _key(line) == "provides-extra"}
    ours = [*requires, *adds]
    extras = dict.fromkeys(extra for extra in (identity(one)[1] for one in ours) if extra and extra not in known)
    new = [*(f"Provides-Extra: {extra}" for extra in extras), *(f"Requires-Dist: {one}" for one in ours)]
    return [*kept[:place], *new, *kept[place:]]


def _required(line: str) -> list[str]:
    return [line.partition(":")[2].strip()] if _key(line) == "requires-dist" else []


def _check_beside(kept: Sequence[str], requires: Sequence[str]) -> None:
    names = {identity(one)[0] for one in requires}
    for official in (one for line in kept for one in _required(line)):
        if identity(official) in {(name, "") for name in names}:
            message = f"METADATA keeps `{official}` beside the requirement of that name for an extra"
            raise BadWheelError(message, remedy="Write ours without `extra`: it then replaces the other one.")
