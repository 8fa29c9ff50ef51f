"""What is published, and where: the order that ``publish`` carries out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.index.site import SiteContent
    from tfwheel.publish.stores import Store


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Wheels to publish, and where; without wheels, only the pages are rendered.

    Without ``content`` there are no pages for users. With it, each wheel must be one of its settings, and the names of
    the wheels are checked against dependency confusion, unless ``guarded`` is off because that was done before.
    ``uploaded`` is the time of new entries, in UTC as in PEP 700. ``address`` is the public URL of the site, ending
    with a slash; without it the site is not verified here. The files of ``installs`` are installed with every client;
    ``patience_s`` is how long the host may take to show a change.
    """

    wheels: tuple[Path, ...]
    ledger: Path
    site: Path
    store: Store
    content: SiteContent | None = None
    uploaded: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    address: str | None = None
    installs: tuple[str, ...] = ()
    patience_s: float = 0
    guarded: bool = True
