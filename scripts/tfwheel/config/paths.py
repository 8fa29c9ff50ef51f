"""Define the paths of the checkout, its build output and the shared cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfwheel.system import cache_root

ROOT = Path(__file__).resolve().parents[3]
CONFIG_DIR = ROOT / "build_config"


@dataclass(frozen=True, kw_only=True)
class Paths:
    """The settings, ``dist/`` of the checkout, and the cache; all other paths follow from these."""

    settings: Path
    dist: Path
    cache: Path

    @classmethod
    def here(cls) -> Paths:
        """Return the paths of the checkout that holds this file, and ``$XDG_CACHE_HOME/tfwheel``."""
        return cls(settings=CONFIG_DIR, dist=ROOT / "dist", cache=cache_root.folder())

    @property
    def wheels(self) -> Path:
        """One folder per target id: the wheel and its record."""
        return self.dist / "wheels"

    @property
    def ledger(self) -> Path:
        """The ledger of the local index; the published index has another one, in ``index/``."""
        return self.dist / "ledger.jsonl"

    @property
    def published(self) -> Path:
        """The ledger of the published index, kept in git; a build reads it and never writes it."""
        return self.settings.parent / "index" / "ledger.jsonl"

    @property
    def site(self) -> Path:
        """The site of the local index."""
        return self.dist / "site"
