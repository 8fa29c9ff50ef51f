"""Verifies a published index from outside: over HTTP, past caches, every page and asset, with real clients."""

from __future__ import annotations

import hashlib
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from packaging.utils import parse_wheel_filename

from tfwheel.errors import FactoryError, NoAnswerError
from tfwheel.index import ledger, manifest
from tfwheel.publish import addresses
from tfwheel.publish.errors import HostAnswerError, VerifyError
from tfwheel.system import console, interpreters, scratch, web
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tfwheel.index.ledger_entry import LedgerEntry
    from tfwheel.system.web import Answer

COLAB_PIP = "24.1.2"
CLIENTS = (f"pip {COLAB_PIP}", "pip", "uv")  # Colab's, the newest, and the newest
TAIL = 1 << 16  # bytes read from the end of a wheel, where the ZIP directory is
ZIP_END = b"PK\x05\x06"
OK, PARTIAL, BUSY, HOST_FAULTS = 200, 206, 429, 500
PAUSE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link of a page as installers see it; ``target`` is an absolute URL with its fragment."""

    text: str
    target: str
    attributes: dict[str, str]


def verify(
    address: str, *, new: Collection[str] | None = None, expected: bytes | None = None, patience_s: float = 0
) -> tuple[LedgerEntry, ...]:
    """Check the index at the URL ``address`` (its root, ending with a slash) and return the entries that it lists.

    Every page must match the manifest of the index, every link the ledger. The assets of the file names ``new``
    (None: all) are requested, through redirects: HEAD, a range, and the whole sidecar. ``expected`` are the bytes that
    the manifest must have. Within ``patience_s`` seconds a failed check is repeated, because the host may not have
    caught up. Raises VerifyError, which names the URL and the fault, UsageError for an ``address`` that is none, and
    DownloadError or HostAnswerError if the host does not answer, or with an error of its own.
    """
    addresses.check_folder(address, option="--base-url")
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return _verify(address, new, expected)
        except (VerifyError, NoAnswerError) as error:
            if time.monotonic() + PAUSE_S > deadline:
                raise
            console.say(f"  not yet: {error.message}")
            time.sleep(PAUSE_S)


def install(address: str, entries: Iterable[LedgerEntry], file: str, *, clients: Iterable[str] = CLIENTS) -> None:
    """Install one of the entries from the index at the URL ``address``, with each client in a fresh environment.

    Raises VerifyError with the client's output, or when no entry has that file name, and InterpreterMissingError
    without a Python for the wheel.
    """
    entry = next((entry for entry in entries if entry.file == file), None)
    if entry is None:
        raise _fault(address, f"does not list {file}")
    python, index = interpreter_for(file), f"{address}{entry.line}/"
    for client in clients:
        with scratch.folder("verify") as folder:
            try:
                found = _install(client, python, folder, index, entry)
            except CommandError as error:
                fault = f"{client} does not install {entry.pin}: {error.message}"
                raise _fault(index, fault) from error
        if found != entry.version:
            raise _fault(index, f"{client} installed {entry.project} {found} where {entry.pin} was asked for")
        console.say(f"  {client} installs {entry.pin}")


def interpreter_for(file: str) -> Path:
    """Find a Python for a wheel: the minor version of its tag, or this one for a wheel for any Python 3."""
    tag = min(tag.interpreter for tag in parse_wheel_filename(file)[3])
    return interpreters.find(f"3.{tag.removeprefix('cp3')}") if tag.startswith("cp3") else Path(sys.executable)


# --- pages -----------------------------------------------------------------------------------------------


def _verify(address: str, new: Collection[str] | None, expected: bytes | None) -> tuple[LedgerEntry, ...]:
    where = f"{address}{manifest.NAME}"
    listed = _get(where).body
    if expected not in (None, listed):
        raise _fault(where, "is not the manifest that was published")
    try:
        files = manifest.read(listed, where=where)
        pages = {name: _page(address, name, facts["sha256"]) for name, facts in files.items()}
        entries = ledger.parse(pages[manifest.LEDGER].body, name=f"{address}{manifest.LEDGER}").entries
    except (VerifyError, NoAnswerError):
        raise
    except FactoryError as error:
        raise VerifyError(error.message) from error
    if unlisted := set(new or ()) - {entry.file for entry in entries}:
        raise _fault(address, f"does not list {', '.join(sorted(unlisted))}")
    shown = tuple(entry for entry in entries if entry.removed is None)
    _check_pages(address, pages, shown)
    for entry in shown:
        if new is None or entry.file in new:
            check_asset(_target(address, entry), entry)
    return shown


def _page(address: str, name: str, sha256: str) -> Answer:
    url = f"{address}{quote(name)}"
    answer = _get(url)
    if hashlib.sha256(answer.body).hexdigest() != sha256:
        raise _fault(url, "does not match the manifest")
    return answer


def _check_pages(address: str, pages: dict[str, Answer], entries: Iterable[LedgerEntry]) -> None:
    """Check that each project's page links to exactly the files of the ledger, with the facts of the ledger."""
    folders: dict[str, dict[str, LedgerEntry]] = defaultdict(dict)
    for entry in entries:
        folders[entry.folder][entry.file] = entry
    for folder, members in folders.items():
        url = f"{address}{folder}/"
        answer = _get(url)  # the URL that installers request
        if not answer.headers.get("Content-Type", "").startswith("text/html"):
            raise _fault(url, f"has content type {answer.headers.get('Content-Type')}, which no installer reads")
        if answer.body != pages.get(f"{folder}/index.html", answer).body:
            raise _fault(url, "differs from its index.html")
        links = links_of(answer.body, url)
        if sorted(link.text for link in links) != sorted(members):
            unexpected = {link.text for link in links} ^ members.keys()
            raise _fault(url, f"does not link to the ledger's files: {', '.join(sorted(unexpected)) or 'one twice'}")
        for link in links:
            _check_link(url, link, members[link.text], _target(address, members[link.text]))


def _check_link(url: str, link: Link, entry: LedgerEntry, target: str) -> None:
    metadata = f"sha256={entry.metadata_sha256}"
    wanted = {
        "data-core-metadata": metadata,
        "data-dist-info-metadata": metadata,
        "data-requires-python": entry.requires_python,
        "data-yanked": entry.yanked,
    }
    faults = [f"{key} is {link.attributes.get(key)!r}" for key, value in wanted.items() if _differ(link, key, value)]
    path, fragment = urldefrag(link.target)
    if unquote(path) != unquote(target) or unquote(urlsplit(path).path).rpartition("/")[2] != entry.file:
        faults.append(f"its target is {path} instead of {target}")
    if fragment != f"sha256={entry.sha256}":
        faults.append(f"its hash is {fragment!r}")
    if faults:
        raise _fault(url, f"the link of {entry.file} is wrong: {'; '.join(faults)}")


def _differ(link: Link, key: str, value: str | None) -> bool:
    found = link.attributes.get(key)
    return found != value and (bool(found) or bool(value) or key == "data-yanked")


def links_of(page: bytes, url: str) -> list[Link]:
    """Return the links of a page at ``url``, in order."""
    reader = _Reader(url)
    reader.feed(page.decode(errors="replace"))
    reader.close()
    return reader.links


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.links, self._open = url, list[Link](), False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            attributes = {name: value or "" for name, value in attrs}
            target = urljoin(self.url, attributes.pop("href", ""))
            self.links.append(Link(text="", target=target, attributes=attributes))
            self._open = True

    def handle_data(self, data: str) -> None:
        if self._open:
            link = self.links[-1]
            self.links[-1] = Link(text=link.text + data, target=link.target, attributes=link.attributes)

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "a"


# --- assets ----------------------------------------------------------------------------------------------


def _target(address: str, entry: LedgerEntry) -> str:
    return entry.url or f"{address}{entry.folder}/{quote(entry.file)}"


def check_asset(url: str, entry: LedgerEntry) -> None:
    """Check a published wheel against its entry: the bytes of the sidecar, its size, and a range of it.

    The range is its last 64 KiB, which is all of a small wheel. Raises VerifyError, which names the URL and the fault.
    """
    sidecar = f"{url}.metadata"
    if hashlib.sha256(_get(sidecar).body).hexdigest() != entry.metadata_sha256:
        raise _fault(sidecar, f"is not the METADATA of {entry.file}")
    size = _get(url, method="HEAD").headers.get("Content-Length")
    if size != str(entry.size):
        raise _fault(url, f"has {size} bytes where {entry.size} are published")
    start = max(0, entry.size - TAIL)
    answer = _get(url, headers={"Range": f"bytes={start}-{entry.size - 1}"}, status=PARTIAL)
    if len(answer.body) != entry.size - start or ZIP_END not in answer.body:
        raise _fault(url, "returns a wrong range")
    if not start and hashlib.sha256(answer.body).hexdigest() != entry.sha256:
        raise _fault(url, f"differs from the published file: its sha256 is not {entry.sha256}")


def _get(url: str, *, method: str = "GET", headers: dict[str, str] | None = None, status: int = OK) -> Answer:
    """Request a file past all caches; VerifyError unless the answer has that status.

    Raises HostAnswerError for a status that says nothing of the file: an error of the host, or its rate limit.
    """
    fresh = {"Accept-Encoding": "identity", "Cache-Control": "no-cache", **(headers or {})}
    answer = web.ask(f"{url}?fresh={time.time_ns()}", method=method, headers=fresh, only=status)
    if answer.status == BUSY or answer.status >= HOST_FAULTS:
        message = f"{url} answers {method} with status {answer.status}"
        raise HostAnswerError(message)
    if status == PARTIAL and answer.status == OK:
        raise _fault(url, "its host does not serve ranges, which uv and resumed downloads need")
    if answer.status != status:
        raise _fault(url, f"answers {method} with status {answer.status} instead of {status}")
    return answer


def _fault(url: str, fault: str) -> VerifyError:
    return VerifyError(f"{url}: {fault}")


# --- clients ---------------------------------------------------------------------------------------------


def _install(client: str, python: Path, folder: Path, index: str, entry: LedgerEntry) -> str:
    """Install with one client as a user would, and return the installed version."""
    venv = folder / "venv"
    inside = venv / "bin" / "python"
    options: list[str | Path] = ["-q", "--no-periodic-update", "--app-data", folder / "app-data"]
    run([sys.executable, "-m", "virtualenv", *options, "--python", python, venv], cwd=folder)
    if client == "uv":
        argv: list[str | Path] = [sys.executable, "-m", "uv", "pip", "install", "--no-cache", "--python", inside]
    else:
        wanted = client.replace(" ", "==")
        run([inside, "-I", "-m", "pip", "install", "-q", "--upgrade", wanted], cwd=folder)
        argv = [inside, "-I", "-m", "pip", "install", "--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    run([*argv, "--extra-index-url", index, entry.pin], cwd=folder)
    program = f"from importlib.metadata import version; print(version({entry.project!r}))"
    return run([inside, "-I", "-c", program], cwd=folder).strip()
