"""Uploads finished wheels to a private index with twine; name and password come from the environment or a keyring.

They go to twine in its environment and to the index in a header: never into an argument, a message or a log.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from base64 import b64encode
from dataclasses import dataclass, field
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

    from tfwheel.index.ledger import LedgerEntry

DIGESTS = ("sha256", "sha512", "sha384", "sha224", "sha1", "md5")  # that a page may give (PEP 503)
COLOUR = r"\x1b\[[0-9;]*m"  # where CI asks programs for it
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT = 200, 401, 403, 404, 409


@dataclass(frozen=True, kw_only=True)
class Account:
    """A name and a password; neither is shown where the account is printed."""

    name: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def header(self) -> dict[str, str]:
        """HTTP's basic authentication (RFC 7617)."""
        return {"Authorization": "Basic " + b64encode(f"{self.name}:{self.password}".encode()).decode()}

    @property
    def environment(self) -> dict[str, str]:
        """What twine reads."""
        return {"TWINE_USERNAME": self.name, "TWINE_PASSWORD": self.password}


def upload(wheels: Sequence[Path], *, address: str, pages: str | None = None, log: Path) -> list[str]:
    """Upload wheels that passed everything; returns a line for each. What is there with the same bytes stays.

    ``address`` is what twine uploads to, ``pages`` the index that installers read (default: ``simple/`` below it),
    ``log`` receives twine's output. Nothing is sent before all wheels and the account are checked. Raises
    WheelMissingError, UploadAddressError, BadWheelError and IndexEntryError (as publishing does),
    CredentialsMissingError, CredentialsRefusedError, NameTakenError and PublishError.
    """
    pages = f"{pages or address.rstrip('/') + '/simple'}".rstrip("/") + "/"
    for url in (address, pages):
        check_address(url)
    if not wheels:
        message = "there is no finished wheel to upload"
        raise WheelMissingError(message)
    entries = [
        listing_rules.entry_from(wheel, records.load(records.path_for(wheel)), url="", uploaded="") for wheel in wheels
    ]
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
    """UploadAddressError for an address that others could listen to, or that has a name or password in it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        message = f"the address cannot be read: {error}"
        raise UploadAddressError(message) from error
    if "@" in parts.netloc:
        message = f"the address of {host} has a name or password in it, where every log would show them"
        raise UploadAddressError(message)
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host))):
        message = f"{url}: a password is sent over https:// only"
        raise UploadAddressError(message)


def account_for(address: str) -> Account:
    """The name and password for an index, as twine finds them; CredentialsMissingError without both."""
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
    """Whether the index lists the wheel with these bytes; NameTakenError when it lists others, or does not say.

    An index that does not show its pages to this account is taken to be without it: uploading then tells.
    """
    url = f"{pages}{canonicalize_name(entry.project)}/"
    try:
        answer = web.ask(url, headers=account.header | {"Accept": "text/html"}, only=OK)
    except DownloadError as error:
        console.warn(f"{error.message}; uploading without a look at what is there")
        return False
    if answer.status == UNAUTHORIZED:
        raise _refused(url, answer.status)
    if answer.status not in (OK, NOT_FOUND):
        console.warn(f"{url} answers {answer.status}; uploading without a look at what is there")
    links = verify.links_of(answer.body, answer.url) if answer.status == OK else []
    return any(_is_same(wheel, link.target) for link in links if _file_of(link.target) == wheel.name)


def _file_of(target: str) -> str:
    return unquote(urlsplit(target).path.rpartition("/")[2])


def _is_same(wheel: Path, target: str) -> bool:
    """True for a link whose digest is that of the wheel; NameTakenError for any other."""
    url, fragment = urldefrag(target)
    algorithm, _, digest = fragment.partition("=")
    if algorithm not in DIGESTS:
        message = f"{url} is there already, and its page gives no digest to compare"
        raise NameTakenError(message)
    with wheel.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != digest.lower():
        message = f"{url} is there already with {algorithm} {digest}; it cannot become {found}"
        raise NameTakenError(message)
    return True


def _send(wheel: Path, address: str, account: Account, log: Path) -> None:
    """Let twine upload one wheel, and give a failure its name."""
    argv = [sys.executable, "-m", "twine", "upload", "--non-interactive", "--disable-progress-bar"]
    layout = {"NO_COLOR": "1", "COLUMNS": "1000"}  # or a message is broken into lines of 80 letters
    try:
        run([*argv, "--repository-url", address, wheel], env=account.environment | layout, log=log)
    except CommandError as error:
        raise _failure(wheel, address, error, log) from error


def _failure(wheel: Path, address: str, error: CommandError, log: Path) -> Exception:
    """What went wrong, by the status that the index answered or else in twine's words."""
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
    hint = "; an index answers so, too, when it has a file of that name" if status in range(400, 500) else ""
    message = f"{address} did not take {wheel.name}: {last} (log: {log}){hint}"
    return PublishError(message)


def _refused(url: str, status: int) -> CredentialsRefusedError:
    message = f"{url} answers {status}: it does not take this name and password"
    return CredentialsRefusedError(message)


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
