"""The only place that speaks HTTP: one question to a web server, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import requests

from tfwheel.system.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 30  # without a byte
LARGEST_ANSWER = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said; ``url`` is where it said it, after redirects. The names in ``headers`` have no case."""

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
    """Ask a web server, follow its redirects, and return its answer whatever its status is.

    ``body`` is sent along; a file is read piece by piece while it goes out. With ``only``, the answer's body is read
    where the status is that one: whoever asks for a range is spared the whole file. Raises DownloadError when there is
    no answer within ``timeout_s`` seconds, or one that breaks off or has more than 256 MiB.
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
                    message = f"{url}: more than {LARGEST_ANSWER:,} bytes, which nothing here has"
                    raise DownloadError(message)
    except requests.RequestException as error:
        message = f"{url}: {error}"
        raise DownloadError(message) from error
    return Answer(url=answer.url, status=answer.status_code, headers=answer.headers, body=bytes(read))
