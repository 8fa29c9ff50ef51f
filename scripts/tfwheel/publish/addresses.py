"""URLs that users give: whether a file name may be put behind one, and whether it may be printed."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tfwheel.errors import UsageError

PLAIN = re.compile(r"[A-Za-z0-9._~:/@!$&'()*+,;=%\[\]-]+")  # what RFC 3986 allows in scheme, host and path


def check_folder(url: str, *, option: str) -> None:
    """Raise UsageError unless file names can be put behind a URL: http or https, a host, a path that ends with a slash.

    ``option`` is the name of the option in messages; a URL with a name or password is never printed.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # both raise for a malformed one
        secret = "@" in parts.netloc
    except ValueError as error:
        message = f"{option} is not a URL: {error}"
        raise UsageError(message) from error
    if secret:
        message = f"{option}: the URL of {host} contains a name or password, which every log and page would show"
        raise UsageError(message, remedy="Give the URL without them.")
    reasons = {
        "it does not begin with https:// or http:// and the name of a host": (
            parts.scheme not in ("http", "https") or not host or not _is_host(host)
        ),
        "it has a query or a fragment": bool(parts.query or parts.fragment) or "?" in url or "#" in url,
        "it has characters that a URL cannot have": not PLAIN.fullmatch(url) or _has_bad_escape(url),
        "it does not end with a slash": not parts.path.endswith("/"),
    }
    for reason, applies in reasons.items():
        if applies:
            message = f"{option} cannot be the URL of a folder: {url!r}: {reason}"
            raise UsageError(message, remedy="Give a URL such as https://example.org/index/.")


def _is_host(host: str) -> bool:
    """Return whether a host is an IPv6 address, which ``urlsplit`` checked, or labels of 1 to 63 characters."""
    return ":" in host or all(
        re.fullmatch(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", label) for label in host.removesuffix(".").split(".")
    )


def _has_bad_escape(url: str) -> bool:
    return bool(re.search(r"%(?![0-9A-Fa-f]{2})", url))
