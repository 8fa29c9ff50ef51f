"""What a URL is that may be published, and how any text that holds one is shown: without the password in it."""

from __future__ import annotations

import re

LONGEST = 1000  # characters
# No credentials, no query, no fragment, no dot folder; nothing that HTML or a shell would read in another way.
PLAIN = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:/(?!\.\.?(?:/|\Z))(?:[A-Za-z0-9._~+:@,=-]|%(?!00|2[EeFf]|5[Cc])[0-9A-Fa-f]{2})*)*"
)
CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@(?!sha256:[0-9a-f]{64})")  # NAME@sha256:... is the digest of an image


def is_plain(url: str) -> bool:
    """Return whether a URL is absolute, of the web, and no more than host and path, in characters that are harmless."""
    return len(url) <= LONGEST and PLAIN.fullmatch(url) is not None


def masked(text: str) -> str:
    """Return a text with the user name and password of every URL in it replaced by ``***``."""
    return CREDENTIALS.sub("***@", text)


def masked_address(text: str) -> str:
    """Return an address, whatever its form, with ``***`` for all of it that may be a secret: user, query, fragment."""
    _, scheme, rest = re.split(r"^([A-Za-z+]+://|)", text, maxsplit=1)
    place, mark, query = re.split(r"([?#]|\Z)", rest, maxsplit=1)
    if "@" in query:  # of a user or of a query: who knows
        return f"{scheme}***"
    user, at, host = place.rpartition("@")
    return f"{scheme}{'***' if user else ''}{at}{host}{mark}{'***' if query else ''}"
