"""What a URL is that may be published, and how any text that holds one is shown: without the password in it."""

from __future__ import annotations

import re

LONGEST = 1000  # characters
# No credentials, no query, no fragment, no dot folder; nothing that HTML or a shell would read in another way.
PLAIN = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:/(?!\.\.?(?:/|\Z))(?:[A-Za-z0-9._~+:@,=-]|%(?!00|2[EeFf]|5[Cc])[0-9A-Fa-f]{2})*)*"
)
CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")


def is_plain(url: str) -> bool:
    """Return whether a URL is absolute, of the web, and no more than host and path, in characters that are harmless."""
    return len(url) <= LONGEST and PLAIN.fullmatch(url) is not None


def masked(text: str) -> str:
    """Return a text with the user name and password of every URL in it replaced by ``***``."""
    return CREDENTIALS.sub("***@", text)
