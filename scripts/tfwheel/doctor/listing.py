"""Reads the list of an index's wheels from its site or from a file, and trusts no word of it in a command."""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from typing import Any

LIST_NAME = "wheels.json"
LARGEST_LIST = 50_000_000  # bytes
FETCH_SECONDS = 20
PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._~%+-]*)*/")
OPTIONAL = (str, type(None))
NUMBERED = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,9}){1,4}")
WITH_MINOR = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}[A-Za-z0-9.+_-]{0,80}")
# What a list has, each text a printable line: a pattern where it is part of a command or read as numbers; "*": any key.
LIST_SHAPE: dict[str, Any] = {
    "base_url": str,
    "gpus": [{"name": str, "card": str, "capability": re.compile(r"[0-9]{1,2}\.[0-9]"), "colab": bool}],
    "runtimes": [
        {
            "name": str,
            "python": NUMBERED,
            "glibc": (NUMBERED, None),
            "tensorflow": (WITH_MINOR, None),
            "date": OPTIONAL,
            "companions": {"*": str},
            "faults": [str],
        }
    ],
    "lines": [{"name": str, "cuda": OPTIONAL}],
    "wheels": [
        {
            "project": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"),
            "version": WITH_MINOR,
            "line": re.compile(r"[a-z0-9][a-z0-9_-]{0,39}"),
            "file": re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_]{0,99}(?:-[A-Za-z0-9.+_]{1,200}){4,5}\.whl"),
            "sha256": re.compile(r"[0-9a-f]{64}"),
            "size": range(1 << 40),
            "python": [NUMBERED],
            "platforms": [re.compile(r"\w{1,60}", re.ASCII)],
            "gpu_code": {"*": [re.compile(r"\w{1,40}", re.ASCII)]},
            "yanked": OPTIONAL,
            "fit": {"*": {"verdict": str, "reasons": [str], "changes": [[str, OPTIONAL, OPTIONAL]]}},
        }
    ],
}


class ListingError(Exception):
    """The list of wheels cannot be read; the message says why and what to do."""


def fetch_listing(index: str) -> tuple[dict[str, Any], str]:
    """Return the list of wheels of an index, and the URL of its site with a slash at its end.

    ``index`` is the URL of the site, of a page of it, or of its wheels.json; or a folder or file. Raises ListingError.
    """
    if not index:
        message = "which index? Run again with --index URL, the address of the page with the wheels."
        raise ListingError(message)
    if not re.match(r"[a-z]+://", index):
        path = os.path.join(index, LIST_NAME) if os.path.isdir(index) else index  # noqa: PTH112, PTH118
        return checked_listing(_read_file(path), path), ""
    root = site_root(index)
    return checked_listing(_download(root + LIST_NAME), root + LIST_NAME), root


def site_root(index: str) -> str:
    """Return the root of the site that a URL is on: without a file name, and with a slash at the end."""
    url = re.sub(r"[?#].*", "", index)
    url = re.sub(r"/(?:index\.html|wheels\.json|doctor\.py)$", "/", url)
    url += "" if url.endswith("/") else "/"
    if not PLAIN_URL.fullmatch(url):
        message = f"{index} is not a plain URL of a site (http or https, no user name, no special signs)"
        raise ListingError(message)
    return url


def checked_listing(data: bytes, where: str) -> dict[str, Any]:
    """Return a list of wheels from its JSON; ListingError if it is none, or has words that no command may have."""
    try:
        listing = json.loads(data)
        version = listing["meta"]["version"]
        if version != 1:
            message = (
                f"{where} is of version {version!r:.20}, and this program reads version 1: fetch it anew from the index"
            )
            raise ListingError(message)
        _conform(listing, LIST_SHAPE, "the list")
        if listing["base_url"] and not PLAIN_URL.fullmatch(listing["base_url"]):
            message = "base_url is not a plain URL"
            raise ListingError(message)
        files = [one["file"] for one in listing["wheels"]]
        if len(set(files)) < len(files):
            message = f"{where} has a wheel twice"
            raise ListingError(message)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{where} is not a list of wheels ({type(error).__name__}: {str(error)[:200]})"
        raise ListingError(message) from error
    return dict(listing)


def _conform(value: Any, shape: Any, where: str) -> None:  # noqa: ANN401 -- whatever JSON holds
    """Raise ValueError if a value has not the shape: a type, a pattern, a dict of shapes, or a list.

    A list of one shape is of any length, one of several is of that length. A text for users is one printable line: with
    other signs it could show a command of its own.
    """
    if isinstance(shape, list):
        good = isinstance(value, list) and len(shape) in (1, len(value))
        for place, one in enumerate(value if good else ()):
            _conform(one, shape[place if len(shape) > 1 else 0], f"{where}[{place}]")
    elif isinstance(shape, dict):
        good = isinstance(value, dict) and ("*" in shape or shape.keys() <= value.keys())
        for key, one in value.items() if good else ():
            _conform(key, str, f"a key of {where}")
            if key in shape or "*" in shape:
                _conform(one, shape.get(key, shape.get("*")), f"{where}.{key}")
    elif isinstance(shape, range):
        good = type(value) is int and value in shape
    elif isinstance(shape, re.Pattern):
        good = isinstance(value, str) and shape.fullmatch(value) is not None
    elif isinstance(shape, tuple) and isinstance(shape[0], re.Pattern):
        good = value is None or (isinstance(value, str) and shape[0].fullmatch(value) is not None)
    else:
        good = isinstance(value, shape) and (not isinstance(value, str) or value.isprintable())
    if not good:
        message = f"{where}: {str(value)[:80]!a}"
        raise ValueError(message)


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 -- the text of the user
            return stream.read(LARGEST_LIST)
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {error}"
        raise ListingError(message) from error


def _download(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "tfwheel-doctor"})  # noqa: S310 -- http or https
    try:
        with urllib.request.urlopen(request, timeout=FETCH_SECONDS) as answer:  # noqa: S310
            data: bytes = answer.read(LARGEST_LIST)
    except (OSError, ValueError, OverflowError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        message = f"{url} cannot be fetched: {type(error).__name__} {str(error)[:200]!a}"
        raise ListingError(message) from error
    return data
