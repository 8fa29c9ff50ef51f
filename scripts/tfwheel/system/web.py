"""Send HTTP requests and read the responses; no other module does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import requests

from tfwheel.system import urls
from tfwheel.system.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 30  # seconds without a byte
LARGEST_ANSWER = 256 << 20  # bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response; ``url`` is the final one, after redirects. Names in ``headers`` are case-insensitive."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | IO[bytes] | None = None,
    only: int | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send a request, follow redirects, and return the response whatever its status is.

    ``body`` is sent along; a file is read piece by piece. With ``only``, the body of the response is read for that
    status alone: a client that asks for a range does not download the whole file where ranges are not supported.
    Raises DownloadError when the server sends nothing for ``timeout_s`` seconds, when the response breaks off, or when
    it has more than 256 MiB.
    """
    read = bytearray()
    try:
        with requests.request(
            method, url, headers=headers, data=body, timeout=timeout_s, stream=True, allow_redirects=True
        ) as answer:
            wanted = only in (None, answer.status_code)
            for chunk in answer.iter_content(1 << 20) if wanted else ():
                read += chunk
                if len(read) > LARGEST_ANSWER:
                    message = f"{urls.masked(url)}: the response has more than {LARGEST_ANSWER:,} bytes"
                    raise DownloadError(message)
    except (requests.RequestException, ValueError) as error:  # ValueError: a redirect to what is no URL
        message = f"{urls.masked(url)}: {urls.masked(str(error))}"
        raise DownloadError(message) from error
    return Answer(url=answer.url, status=answer.status_code, headers=answer.headers, body=bytes(read))
