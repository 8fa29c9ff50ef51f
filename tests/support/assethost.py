"""A stand-in, on this machine, for what wheels are published to: a static pages host and a release-asset host.

``/pages/<path>`` is served from the site's folder as static pages hosts do it (see ``server.page``).
``/releases/download/<tag>/<name>`` answers 302 to ``/blob/<tag>/<name>?token=...``, which knows Range.
The bytes of every answer are counted.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from fake_github import server
from fake_github.server import FakeServer, Response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fake_github.server import Exchange, Request

PAGES, RELEASES, BLOBS = "/pages/", "/releases/download/", "/blob/"


@dataclass(kw_only=True)
class AssetHost(FakeServer):
    """Both hosts; ``requests`` is what they were asked so far, in the order of the answers.

    ``faults`` holds paths that answer with a status of the test's choosing (503, 404) until they are taken out.
    """

    site: Path
    assets: Path
    requests: list[Exchange] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def pages(self) -> str:
        """Where the site's root is served, ending with a slash."""
        return f"{self.address}{PAGES}"

    def url(self, tag: str, name: str) -> str:
        """The lasting address of an asset, percent-encoded; it redirects."""
        return f"{self.address}{RELEASES}{quote(tag)}/{quote(name)}"

    def upload(self, tag: str, name: str, data: bytes) -> str:
        """Put an asset there and say its address."""
        path = self.assets / tag / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return self.url(tag, name)

    def sent(self, pattern: str) -> int:
        """How many bytes of bodies went out for the paths that match."""
        return sum(request.sent for request in self.requests if re.search(pattern, request.path))

    def paths(self, pattern: str = "") -> list[str]:
        """The paths that were asked for and match, in order."""
        return [request.path for request in self.requests if re.search(pattern, request.path)]

    def answer(self, question: Request) -> Response:
        place = question.place
        if place in self.faults:
            return Response(status=self.faults[place], body=b"a fault, as ordered")
        if place.startswith(PAGES):
            return server.page(self.site, place.removeprefix(PAGES), question.headers)
        name = place.removeprefix(RELEASES).removeprefix(BLOBS)
        file = server.found(self.assets, name)
        if file is None:
            return server.page(self.assets, name, {})
        if place.startswith(RELEASES):
            return Response(status=302, headers={"Location": f"{self.address}{BLOBS}{quote(name)}?token=1&expires=300"})
        return server.blob(file)

    def heard(self, exchange: Exchange) -> None:
        self.requests.append(exchange)


@contextmanager
def running(site: Path, assets: Path) -> Iterator[AssetHost]:
    """Serve both while the block runs. The folders may be changed, swapped or made in the meantime."""
    with server.serving(AssetHost(site=site, assets=assets)) as host:
        yield host
