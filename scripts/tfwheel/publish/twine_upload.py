"""Uploads finished wheels to a private index with twine; name and password come from the environment or a keyring.

The credentials go to twine in its environment and to the index in a header: never into an argument, a message or a log.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urlsplit

from packaging.utils import canonicalize_name
from twine.exceptions import TwineException
from twine.settings import Settings

from tfwheel.errors import PublishError
from tfwheel.index import listing_rules
from tfwheel.index.errors import NameTakenError, WheelMissingError
from tfwheel.publish import verify
from tfwheel.publish.errors import CredentialsMissingError, CredentialsRefusedError, UploadAddressError
from tfwheel.system import console, web
from tfwheel.system.errors import CommandError, DownloadError
from tfwheel.system.processes import run
from tfwheel.wheel import records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.index.ledger_entry import LedgerEntry

DIGESTS = ("sha256", "sha512", "sha384", "sha224", "sha1", "md5")  # the ones allowed in a page's links (PEP 503)
COLOUR = r"\x1b\[[0-9;]*m"  # in the output if CI forces colours
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT = 200, 401, 403, 404, 409


@dataclass(frozen=True, kw_only=True)
class Account:
    """A name and a password; ``repr`` shows neither."""

    name: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def header(self) -> dict[str, str]:
        """The header for HTTP basic authentication (RFC 7617)."""
        return {"Authorization": "Basic " + b64encode(f"{self.name}:{self.password}".encode()).decode()}

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables for twine."""
        return {"TWINE_USERNAME": self.name, "TWINE_PASSWORD": self.password}


def upload(wheels: Sequence[Path], *, address: str, pages: str | None = None, log: Path) -> list[str]:
    """Upload wheels that passed all checks; returns a line for each. Wheels already there with equal bytes are skipped.

    ``address`` is the URL for uploads, ``pages`` the URL that installers read (default: ``simple/`` below it),
    ``log`` receives twine's output. Nothing is sent before all wheels and the account are checked. Raises
    WheelMissingError, UploadAddressError, BadWheelError and IndexEntryError (as in ``publish``),
    CredentialsMissingError, CredentialsRefusedError, NameTakenError and PublishError.
    """
    pages = f"{pages or address.rstrip('/') + '/simple'}".rstrip("/") + "/"
    for url in (address, pages):
        check_address(url)
    if not wheels:
        message = "there is no finished wheel to upload"
        raise WheelMissingError(message)
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    entries = [listing_rules.entry_from(wheel, records.beside(wheel), url="", uploaded=now) for wheel in wheels]
    account = account_for(address)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    done = []
    for wheel, entry in zip(wheels, entries, strict=True):
        if is_there(wheel, entry, pages, account):
            done.append(f"{wheel.name} is there already, with the same bytes")
        else:
            console.say(f"  uploading {wheel.name} ({entry.size:,} bytes)")
            _send(wheel, address, account, log)
            done.append(f"{wheel.name} uploaded")
    return done


def check_address(url: str) -> None:
    """Raise UploadAddressError for a URL that is not encrypted, or that contains a name or password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        message = f"the URL cannot be parsed: {error}"
        raise UploadAddressError(message) from error
    if "@" in parts.netloc:
        message = f"the URL of {host} contains a name or password, which every log would show"
        raise UploadAddressError(message)
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host))):
        message = f"{url}: a password is sent over https:// only"
        raise UploadAddressError(message)


def account_for(address: str) -> Account:
    """Find the name and password for an index the way twine does; CredentialsMissingError without both."""
    settings = Settings(
        repository_url=address,
        username=os.environ.get("TWINE_USERNAME") or None,
        password=os.environ.get("TWINE_PASSWORD") or None,
        non_interactive=True,
    )
    try:
        return Account(name=settings.username or "", password=settings.password or "")
    except TwineException as error:
        message = f"{address}: {error}"
        raise CredentialsMissingError(message) from error


def is_there(wheel: Path, entry: LedgerEntry, pages: str, account: Account) -> bool:
    """Return whether the index lists the wheel with these bytes; NameTakenError for other bytes or no digest.

    If the index does not show its pages to this account, the answer is False: the upload will find out.
    """
    url = f"{pages}{canonicalize_name(entry.project)}/"
    try:
        answer = web.ask(url, headers=account.header | {"Accept": "text/html"}, only=OK)
    except DownloadError as error:
        console.warn(f"{error.message}; uploading without checking the existing files")
        return False
    if answer.status == UNAUTHORIZED:
        raise _refused(url, answer.status)
    if answer.status not in (OK, NOT_FOUND):
        console.warn(f"{url} answers {answer.status}; uploading without checking the existing files")
    links = verify.links_of(answer.body, answer.url) if answer.status == OK else []
    return any(_is_same(wheel, link.target) for link in links if _file_of(link.target) == wheel.name)


def _file_of(target: str) -> str:
    return unquote(urlsplit(target).path.rpartition("/")[2])


def _is_same(wheel: Path, target: str) -> bool:
    """Return True if the digest of a link is that of the wheel; else NameTakenError."""
    url, fragment = urldefrag(target)
    algorithm, _, digest = fragment.partition("=")
    if algorithm not in DIGESTS:
        message = f"{url} is there already, and its page gives no digest to compare"
        remedy = "Download that file and compare: if it is another one, raise `build` in targets.toml."
        raise NameTakenError(message, remedy=remedy)
    with wheel.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != digest.lower():
        message = f"{url} is there already with {algorithm} {digest}; it cannot become {found}"
        raise NameTakenError(message)
    return True


def _send(wheel: Path, address: str, account: Account, log: Path) -> None:
    """Upload one wheel with twine; raises the error of ``_failure``."""
    argv = [sys.executable, "-m", "twine", "upload", "--non-interactive", "--disable-progress-bar"]
    layout = {"NO_COLOR": "1", "COLUMNS": "1000"}  # otherwise messages are wrapped at 80 columns
    try:
        run([*argv, "--repository-url", address, wheel], env=account.environment | layout, log=log)
    except CommandError as error:
        raise _failure(wheel, address, error, log) from error


def _failure(wheel: Path, address: str, error: CommandError, log: Path) -> Exception:
    """Return the error for the status of the index, or else one with twine's message."""
    found = re.search(r"HTTPError: (\d{3})", error.output)
    status = int(found[1]) if found else 0
    if status in (UNAUTHORIZED, FORBIDDEN):
        return _refused(address, status)
    if status == CONFLICT:
        message = f"{address} has a file named {wheel.name} already, which its pages do not show"
        return NameTakenError(message)
    said = [line.strip() for line in re.sub(COLOUR, "", error.output).splitlines() if line.strip()]
    named = [line for line in said if re.search(r"\w(Error|Detected): ", line)]
    last = (named or said or [error.message])[-1]
    hint = "; an index may also answer this if it already has a file of that name" if status in range(400, 500) else ""
    message = f"{address} did not accept {wheel.name}: {last} (log: {log}){hint}"
    return PublishError(message)


def _refused(url: str, status: int) -> CredentialsRefusedError:
    message = f"{url} answers {status}: it rejects this name and password"
    return CredentialsRefusedError(message)


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
