"""All parts of a site, from a ledger: pages for installers, pages for users, the ledger itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from tfwheel.colab.fit_table import Judge
from tfwheel.config import gpu_support
from tfwheel.config.paths import ROOT
from tfwheel.index import (
    doctor_file,
    documents,
    fit_of_index,
    install_files,
    landing_page,
    manifest,
    page_templates,
    simple_pages,
    wheel_list,
)
from tfwheel.index.atomic_tree import Part
from tfwheel.system import digests, sources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.gpu_support import Gpu
    from tfwheel.index.ledger import Ledger
    from tfwheel.index.ledger_entry import LedgerEntry

LIBRARIES = ("jinja2", "markdown-it-py", "mdit-py-plugins")  # they render the documents


@dataclass(frozen=True, kw_only=True)
class SiteContent:
    """Sources of the pages for users, besides the ledger.

    ``locks`` is the folder that holds ``install/`` with the locks, ``documents`` the folder with the documents.
    """

    settings: Config
    locks: Path = ROOT / "index"
    documents: Path = documents.SOURCES

    def parts(self, known: Ledger) -> dict[str, Part]:
        """Return what is for people (landing page, install files, doctor), and the documents, each as one part."""
        return {"people": self._people(known), "documents": self._documents()}

    def _documents(self) -> Part:
        repository = self.settings.index.repository
        key = digests.of_facts(
            repository=repository,
            documents={name: hashlib.sha256(data).hexdigest() for name, data in documents.read(self.documents).items()},
            templates=digests.of_tree(page_templates.SOURCES),
            libraries={name: version(name) for name in LIBRARIES},
            code=sources.digest(documents.__name__),
        )
        return Part(key=key, make=lambda: documents.render(documents.read(self.documents), repository=repository))

    def _people(self, known: Ledger) -> Part:
        key = digests.of_facts(
            ledger=hashlib.sha256(known.data).hexdigest(),
            lines=self.settings.lines,
            base_url=self.settings.index.base_url,
            runtimes=digests.of_tree(self._runtimes),
            gpus=self._gpus,
            locks=digests.of_tree(self.locks / "install"),
            documents=self.documents.is_dir(),
            repository=self.settings.index.repository,
            sources=digests.of_tree(page_templates.SOURCES),
            libraries={name: version(name) for name in LIBRARIES},
            code=sources.digest(__name__),
        )
        return Part(key=key, make=partial(self._files, known.entries))

    @cached_property
    def _judge(self) -> Judge:
        """What judges the wheels; it keeps its judgements for the next time that pages are made."""
        return Judge.load(self.settings.directory)

    @property
    def _runtimes(self) -> Path:
        return self.settings.directory / "colab"

    @property
    def _gpus(self) -> tuple[Gpu, ...]:
        directory = self.settings.directory
        return gpu_support.load(directory) if (directory / "gpus.toml").is_file() else ()

    def _files(self, entries: Sequence[LedgerEntry]) -> dict[str, bytes]:
        judge, base_url = self._judge, self.settings.index.base_url
        locks = install_files.kept(entries, self.locks)
        material = install_files.render(entries, locks, runtimes=judge.runtimes, base_url=base_url)
        listing = wheel_list.listing(
            entries,
            lines=self.settings.lines,
            runtimes=[one for one in judge.runtimes if one.live],
            known=judge.known,
            gpus=self._gpus,
            base_url=base_url,
            fits=fit_of_index.fits(wheel_list.newest(entries), judge, self.settings.lines),
        )
        people = landing_page.render(
            entries,
            listing,
            gpus=self._gpus,
            material=frozenset(material),
            documents=self.documents.is_dir(),
            doctor=True,
            repository=self.settings.index.repository,
        )
        return {**material, **people, **wheel_list.encode(listing), **doctor_file.render(base_url)}


def parts(known: Ledger, content: SiteContent | None = None) -> dict[str, Part]:
    """Return all parts of a site except wheels and manifest; without ``content``, no pages for users."""
    lines = known.data
    copy = Part(key=hashlib.sha256(lines).hexdigest(), make=lambda: {manifest.LEDGER: lines})
    people = content.parts(known) if content else {}
    return {**simple_pages.parts(known.entries), "ledger": copy, **people}
