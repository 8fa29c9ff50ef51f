"""Reads the list of an index's wheels from its site or from a file, and trusts no word of it in a command."""

from __future__ import annotations

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
# What of a wheel is part of a command, or of a path.
SHAPES_OF_WHEEL = {
    "project": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"),
    "version": re.compile(r"[0-9][A-Za-z0-9.+_-]{0,99}"),
    "line": re.compile(r"[a-z0-9][a-z0-9_-]{0,39}"),
    "file": re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,239}\.whl"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
}
LISTS = {"python": str, "platforms": str, "requires": str}


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
            message = f"{where} is of version {version}, and this program reads version 1: fetch it anew from the index"
            raise ListingError(message)
        _check(listing)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{where} is not a list of wheels ({type(error).__name__}: {str(error)[:200]})"
        raise ListingError(message) from error
    return dict(listing)


def _check(listing: Any) -> None:  # noqa: ANN401 -- whatever JSON holds
    if listing["base_url"] and not PLAIN_URL.fullmatch(listing["base_url"]):
        message = "base_url"
        raise ValueError(message)
    for wheel in listing["wheels"]:
        for key, shape in SHAPES_OF_WHEEL.items():
            if not shape.fullmatch(wheel[key]):
                message = f"{key} {wheel[key]!r}"
                raise ValueError(message)
        for key, kind in LISTS.items():
            if not all(isinstance(one, kind) for one in wheel[key]):
                raise TypeError(key)
        wheel["gpu_code"].items(), wheel["fit"].items(), wheel["size"] + 0, wheel["yanked"]
    for gpu in listing["gpus"]:
        gpu["name"] + gpu["capability"]
    for runtime in listing["runtimes"]:
        runtime["name"] + runtime["python"], runtime["glibc"], runtime["tensorflow"], runtime["companions"].items()
    for line in listing["lines"]:
        line["name"] + (line["cuda"] or "")


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
    except (OSError, ValueError, urllib.error.URLError) as error:
        message = f"{url} cannot be fetched: {error}"
        raise ListingError(message) from error
    return data
