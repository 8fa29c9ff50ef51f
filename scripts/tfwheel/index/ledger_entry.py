"""One line of the ledger: its fields, the shape of each, and what must agree among them.

Whoever reads or writes a line passes ``check``: what the pages show, where they are written and what users paste into a
shell comes from here alone.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from tfwheel.colab import requirements
from tfwheel.config.github_limits import ASSET_NAME
from tfwheel.config.gpu_support import KINDS
from tfwheel.config.targets import is_line_name
from tfwheel.system.urls import is_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

LARGEST = 1 << 53  # bytes; numbers above are not exact in JSON
DIGEST = "[0-9a-f]{64}"
NAME = re.compile(r"[A-Za-z0-9](?:_?[A-Za-z0-9.])*")
MOST_IMAGES = 100  # of a kind of GPU code
MOST_REQUIREMENTS = 500
LONGEST_NAME, LONGEST_TEXT = 240, 1000  # characters; a file system takes 255 bytes, and a sidecar has `.metadata` more
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
IMAGE = re.compile(r"(?:sm|compute)_[0-9]{2,3}[a-z]?")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # but for tab and newline; and half characters


class Evidence(TypedDict, total=False):
    """What the ledger keeps of a smoke report."""

    passed: bool
    date: str
    python: str
    client: str
    gpu: str | dict[str, Any]
    wheel_sha256: str


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """One published wheel.

    ``url`` is the absolute URL of the file, or empty if the file is next to its page. ``size`` is in bytes,
    ``uploaded`` in UTC as in PEP 700 ("2026-11-21T04:00:00Z"), ``metadata_sha256`` the digest of the wheel's METADATA.
    ``gpu_code`` is what the gates found in it: images ("sm_75") by kind (``gpu_support.KINDS``). ``smoke`` is the
    evidence of the CPU smoke test, ``gpu_smoke`` that of the smoke test on a GPU, None if it never ran. ``yanked`` is
    None or the reason, which may be empty (PEP 592). ``attestation`` is the URL of a signature, if there is one.
    ``removed`` is None or why the file is gone: such a line reserves the name for ever and appears on no page.
    ``inputs`` is the digest of the settings that all Pythons of the version share; empty if unknown. ``requires`` are
    its Requires-Dist (empty: it has none), and ``gencode`` is the newest protobuf that its modules were made with
    (empty: none says so), by which it is judged again in a runtime that comes later. Older lines have neither: None.
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
    gpu_code: dict[str, tuple[str, ...]] = {}
    smoke: Evidence | None = None
    gpu_smoke: Evidence | None = None
    yanked: str | None = None
    attestation: str | None = None
    removed: str | None = None
    inputs: str = ""
    requires: tuple[str, ...] | None = None
    gencode: str | None = None

    @property
    def folder(self) -> str:
        """The project's page below the root of the site, with the name normalized (PEP 503)."""
        return f"{self.line}/{normalized(self.project)}"

    @property
    def pin(self) -> str:
        """The requirement that selects exactly this version."""
        return f"{self.project}=={self.version}"

    @property
    def place(self) -> tuple[str, str]:
        """The sort key of its line in a ledger."""
        return self.uploaded, self.file


ENCODER = msgspec.json.Encoder(order="sorted")
DECODER = msgspec.json.Decoder(LedgerEntry)
normalized = cache(canonicalize_name)
parsed_version = cache(Version)


def encode(entry: LedgerEntry) -> bytes:
    """Encode an entry as one line, without its newline: canonical JSON that begins with a digest of the rest."""
    rest = ENCODER.encode(entry)[1:]
    return b'{"_check":"%s",%s' % (digest_of(rest), rest)


def digest_of(rest: bytes) -> bytes:
    """Return the digest of a line's bytes after its ``_check``."""
    return hashlib.sha256(rest).hexdigest()[:16].encode()


# --- the shape of each field -----------------------------------------------------------------------------


@cache
def _matching(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern).fullmatch


def _is_version(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9.+_-]{1,100}", text) is not None and _release(text) is not None


def _is_python(text: str) -> bool:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return False
    return re.fullmatch(r"[A-Za-z0-9.,<>=!~* ]{0,200}", text) is not None


def _is_time(text: str) -> bool:
    """Return whether it is a time that exists, in whole seconds of UTC: such texts sort like the times."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return TIME.fullmatch(text) is not None


def is_reason(text: str | None) -> bool:
    """Return whether a text may be the reason of a yank or a removal: no control characters, which pip would print."""
    return text is None or (len(text) <= LONGEST_TEXT and not CONTROL.search(text))


def _is_gpu_code(kinds: tuple[tuple[str, tuple[str, ...]], ...]) -> bool:
    return all(
        kind in KINDS and len(images) <= MOST_IMAGES and all(map(IMAGE.fullmatch, images)) for kind, images in kinds
    )


@cache
def _is_requirement(text: str) -> bool:
    return len(text) <= LONGEST_TEXT and text.isprintable() and requirements.parsed(text) is not None


SHAPES: dict[str, Callable[[Any], object]] = {
    "project": _matching(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"),
    "version": _is_version,
    "line": is_line_name,
    "sha256": _matching(DIGEST),
    "size": lambda size: 0 < size <= LARGEST,
    "uploaded": _is_time,
    "requires_python": _is_python,
    "metadata_sha256": _matching(DIGEST),
    "target": _matching(r"[A-Za-z0-9._+-]{1,200}"),
    "gpu_code": lambda code: _is_gpu_code(tuple(code.items())),
    "yanked": is_reason,
    "attestation": lambda text: text is None or is_plain(text),
    "removed": lambda text: text is None or (is_reason(text) and text.strip()),
    "inputs": _matching(f"(?:{DIGEST})?"),
    "requires": lambda texts: texts is None or (len(texts) <= MOST_REQUIREMENTS and all(map(_is_requirement, texts))),
    "gencode": lambda text: text is None or re.fullmatch(r"(?:[0-9]{1,4}(?:\.[0-9]{1,4}){2})?", text) is not None,
}
SPLIT = ("file", "url")  # of 100,000 each is another, but their parts repeat: `fault` checks those
EVIDENCE = ("smoke", "gpu_smoke")  # their shape is Evidence; pages show their texts escaped


def fault(entries: Sequence[LedgerEntry]) -> tuple[int, str] | None:
    """Return the index of the first entry that is not valid and what is wrong with it, None if all are.

    Of many entries most values repeat, so each value is checked once.
    """
    if _all_fit(entries):
        return None
    for index, entry in enumerate(entries):
        if wrong := [name for name, fits in SHAPES.items() if not fits(getattr(entry, name))]:
            return index, ", ".join(f"{name} {getattr(entry, name)!r}" for name in wrong)
        name, version, rest = parts(entry.file)
        named = _is_start_of(entry.project, entry.version, name, version) and _is_end(rest)
        if not named or len(entry.file) > LONGEST_NAME:
            return index, f"file {entry.file!r} of project {entry.project!r} and version {entry.version!r}"
        if not _leads_to(entry.file, entry.url) or not _is_folder(entry.url.rpartition("/")[0]):
            return index, f"url {entry.url!r} of {entry.file!r}"
    message = "one entry of many is not valid, and each by itself is"
    raise AssertionError(message)


def _all_fit(entries: Sequence[LedgerEntry]) -> bool:
    """Return whether all entries are valid, looking at each distinct value once."""
    names = [(entry.project, entry.version, *parts(entry.file)) for entry in entries]
    return (
        all(_all_of(name, {getattr(entry, name) for entry in entries}) for name in SHAPES if name != "gpu_code")
        and all(map(_is_gpu_code, {tuple(entry.gpu_code.items()) for entry in entries}))  # no dict is in a set
        and all(len(entry.file) <= LONGEST_NAME and _leads_to(entry.file, entry.url) for entry in entries)
        and all(map(_is_folder, {entry.url.rpartition("/")[0] for entry in entries}))
        and all(_is_start_of(*start) for start in {name[:4] for name in names})
        and all(map(_is_end, {name[4] for name in names}))
    )


def _all_of(name: str, values: Collection[Any]) -> bool:
    if SHAPES[name] is not SHAPES["sha256"]:
        return all(map(SHAPES[name], values))
    return {*map(len, values)} <= {64} and re.fullmatch("[0-9a-f]*", "".join(values)) is not None


# --- the name and the place of the file ------------------------------------------------------------------


def parts(file: str) -> tuple[str, str, str]:
    """Split the file name of a wheel: project, version, and the rest; empty where there is none."""
    name, _, rest = file.partition("-")
    version, _, rest = rest.partition("-")
    return name, version, rest


def identity(file: str) -> tuple[str, str | None, str | None]:
    """Return what makes a wheel for installers: normalized project, version and tags; equal for twins."""
    name, version, rest = parts(file)
    return normalized(name), _release(version), _tags(rest)


def _is_start_of(project: str, version: str, name: str, named_version: str) -> bool:
    """Return whether a file name that begins so is that of a wheel of the project and version."""
    same_project = NAME.fullmatch(name) is not None and normalized(name) == normalized(project)
    return same_project and _is_version(named_version) and _release(named_version) == _release(version)


def _is_end(rest: str) -> bool:
    return ASSET_NAME.fullmatch(rest) is not None and _tags(rest) is not None


@cache
def _tags(rest: str) -> str | None:
    """Return the build number and the tags of a file name in one order (they are sets, PEP 425), None without."""
    try:
        _, _, build, tags = parse_wheel_filename(f"x-1-{rest}")
    except InvalidWheelFilename:
        return None
    return " ".join([*map(str, build), *sorted(map(str, tags))])


@cache
def _release(text: str) -> str | None:
    """Return a version in its one spelling, without zeros at the end of the release (PEP 440); None if it is not one.

    A version with an epoch is not one either: a shell reads its `!`.
    """
    try:
        version = parsed_version(text)
    except InvalidVersion:
        return None
    release = ".".join(map(str, version.release))
    return None if version.epoch else re.sub(r"(?:\.0)+$", "", release) + str(version)[len(release) :]


def _leads_to(file: str, url: str) -> bool:
    return not url or url.rpartition("/")[2] in (file, file.replace("+", "%2B"))


def _is_folder(url: str) -> bool:
    """Return whether it is what stands before the last slash of a valid URL, or empty."""
    return not url or is_plain(url)
