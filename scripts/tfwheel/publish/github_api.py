"""Client for the GitHub Releases API: lists with all pages, conditional requests, retries and rate limits.

Source: "REST API endpoints for releases", "... for release assets", "Best practices for using the REST API".
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tfwheel.publish.errors import HostAnswerError
from tfwheel.system import console, files, web
from tfwheel.system.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from pathlib import Path

    from tfwheel.system.web import Answer

PER_PAGE = 100  # the API's maximum
TRIES = 5
PAUSE_S = 1.0  # before the second try; doubles each time
LONGEST_WAIT_S = 900.0
NEXT = re.compile(r'<([^>]*)>; *rel="next"')  # RFC 8288
Item = TypeVar("Item", bound="Numbered")


class Numbered(msgspec.Struct, frozen=True, kw_only=True):
    """The field that every object of the API has."""

    id: int


class AssetData(Numbered, frozen=True, kw_only=True):
    """A release asset; ``size`` is in bytes, ``digest`` is "sha256:<hex>" or None for assets from before mid-2025."""

    name: str
    size: int
    state: str
    updated_at: str
    browser_download_url: str
    digest: str | None = None


class ReleaseData(Numbered, frozen=True, kw_only=True):
    """A release; ``assets`` may be only the first page of them."""

    tag_name: str
    draft: bool = False
    immutable: bool = False
    upload_url: str = ""
    html_url: str = ""
    published_at: str | None = None
    assets: list[Numbered] = msgspec.field(default_factory=list)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A cached response: its ETag, the URL of the next page, and its body."""

    etag: str = ""
    following: str = ""
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class GithubApi:
    """The API of one repository: base URL ``api`` (no trailing slash), ``repo`` ("owner/name"), and a token.

    ``cache`` is a folder for responses with their ETag, so that an unchanged page does not count against the rate
    limit. The token is only sent to ``api``.
    """

    api: str
    repo: str
    token: str | None = None
    cache: Path | None = None

    def __repr__(self) -> str:
        """Leave the token out: no log may show it."""
        return f"GithubApi({self.api}, {self.repo})"

    def releases(self) -> list[ReleaseData]:
        """List all releases that the token can see, newest first."""
        return self.listed("releases", ReleaseData)

    def assets(self, release: ReleaseData) -> list[AssetData]:
        """List all assets of a release; HostAnswerError when the list lacks an asset that the release has."""
        found = self.listed(f"releases/{release.id}/assets", AssetData)
        missing = {asset.id for asset in release.assets} - {asset.id for asset in found}
        if missing:
            message = f"release {release.tag_name}: the list of assets lacks {len(missing)} that the release has"
            raise HostAnswerError(message)
        return found

    def listed(self, place: str, kind: type[Item], *, key: str = "") -> list[Item]:
        """Fetch all pages of a list below the repository; ``key`` is the member of the response with the list."""
        address = f"{self.api}/repos/{self.repo}/{place}"
        found = [item for page in self._pages(address, kind, key) for item in page]
        if len({item.id for item in found}) != len(found):
            message = f"{address}: the list changed while it was read"
            raise HostAnswerError(message, remedy="Run again when no release is being changed.")
        return found

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request to the API."""
        common = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        return common | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    def _pages(self, address: str, kind: type[Item], key: str) -> Iterator[list[Item]]:
        url = f"{address}{'&' if '?' in address else '?'}per_page={PER_PAGE}"
        linked = False
        while url:
            page = self._page(url)
            items = _decoded(page.body, kind, url, key)
            # Only the last page may be short, and a linked page is never empty.
            if (page.following and len(items) != PER_PAGE) or (linked and not items):
                message = f"{url}: the page is cut short: {len(items)} of {PER_PAGE}"
                raise HostAnswerError(message)
            yield items
            url, linked = page.following, True

    def _page(self, url: str) -> Page:
        """Fetch one page, or take it from the cache if the API says that it has not changed."""
        kept = _load(self.cache, url)
        answer = fetch(url, self.headers | ({"If-None-Match": kept.etag} if kept.etag else {}))
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return kept
        page = Page(etag=answer.headers.get("ETag", ""), following=self._following(answer, url), body=answer.body)
        _save(self.cache, url, page)
        return page

    def _following(self, answer: Answer, url: str) -> str:
        link = NEXT.search(answer.headers.get("Link", ""))
        following = link[1] if link else ""
        if following and not following.startswith(f"{self.api}/"):
            message = f"{url}: its next page is on another host, {following}"
            raise HostAnswerError(message)
        return following


def fetch(url: str, headers: dict[str, str] | None = None) -> Answer:
    """Send GET until the status is 200 or 304: retries after server errors, and waits for a rate limit.

    Raises HostAnswerError for any other status, and when retries are exhausted.
    """
    return patiently(url, lambda: web.ask(url, headers=headers), {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED})


def patiently(url: str, ask: Callable[[], Answer], accepted: Container[int], *, again: bool = True) -> Answer:
    """Call ``ask`` until the status is accepted; waits for a rate limit, which means that the request had no effect.

    Timeouts and server errors are retried only with ``again``: without it, the request may have taken effect. Raises
    HostAnswerError for any other status, and when retries are exhausted.
    """
    problem = ""
    for attempt in range(TRIES):
        pause = PAUSE_S * 2**attempt
        try:
            answer = ask()
        except DownloadError as error:
            problem, limit, hopeless = error.message, None, not again
        else:
            if answer.status in accepted:
                return answer
            limit = _rate_limit(answer)
            problem = f"{url} answered {answer.status}: {answer.body[:200].decode(errors='replace')!r}"
            hopeless = limit is None and (not again or answer.status < HTTPStatus.INTERNAL_SERVER_ERROR)
        pause = pause if limit is None else limit
        if pause > LONGEST_WAIT_S:
            problem += f"; its rate limit ends in {pause:.0f} s"
        if hopeless or pause > LONGEST_WAIT_S:
            break
        if attempt + 1 < TRIES:
            console.say(f"  {problem}; trying again in {pause:.0f} s")
            time.sleep(pause)
    raise HostAnswerError(problem)


def _rate_limit(answer: Answer) -> float | None:
    """Return the seconds that the host asks to wait, None if it does not."""
    after = answer.headers.get("Retry-After", "")
    if after.isdecimal():
        return float(after)
    reset = answer.headers.get("X-RateLimit-Reset", "")
    if answer.headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
        return max(0.0, float(reset) - time.time()) + 1
    return 60.0 if answer.status == HTTPStatus.TOO_MANY_REQUESTS else None


def _decoded(body: bytes, kind: type[Item], url: str, key: str) -> list[Item]:
    try:
        listed = msgspec.json.decode(body, type=dict[str, msgspec.Raw])[key] if key else body
        found: list[Item] = msgspec.json.decode(listed, type=list[kind])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, KeyError) as error:
        message = f"{url}: unexpected response instead of a list ({error}): {body[:80].decode(errors='replace')!r}"
        raise HostAnswerError(message) from error
    return found


def _load(cache: Path | None, url: str) -> Page:
    path = _kept(cache, url)
    if path is None or not path.exists():
        return Page()
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Page)
    except msgspec.MsgspecError:
        return Page()


def _save(cache: Path | None, url: str, page: Page) -> None:
    path = _kept(cache, url)
    if path and page.etag:
        files.write_atomically(path, msgspec.msgpack.encode(page))


def _kept(cache: Path | None, url: str) -> Path | None:
    return cache and cache / f"{hashlib.sha256(url.encode()).hexdigest()}.page"
