"""Where things stand: the checkout, what is made in it, and the cache that checkouts share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

ROOT = Path(__file__).resolve().parents[3]
CONFIG_DIR = ROOT / "build_config"


@dataclass(frozen=True, kw_only=True)
class Paths:
    """All paths follow from these: the settings, ``dist/`` of the checkout, and the cache."""

    settings: Path
    dist: Path
    cache: Path

    @classmethod
    def here(cls) -> Paths:
        """The checkout that this file is in, and ``$XDG_CACHE_HOME/tfwheel``."""
        return cls(settings=CONFIG_DIR, dist=ROOT / "dist", cache=user_cache_path("tfwheel"))

    @property
    def wheels(self) -> Path:
        """One folder per target id: the wheel and its record."""
        return self.dist / "wheels"

    @property
    def ledger(self) -> Path:
        """What the served tree lists; the published index has a ledger of its own, in ``index/``."""
        return self.dist / "ledger.jsonl"

    @property
    def site(self) -> Path:
        """The served tree."""
        return self.dist / "site"
