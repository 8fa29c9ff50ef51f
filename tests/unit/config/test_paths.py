"""Where things go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.config.paths import ROOT, Paths

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_cache_follows_xdg_and_the_output_stays_in_the_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths = Paths.here()
    assert paths.cache == tmp_path / "tfwheel"
    assert paths.settings == ROOT / "build_config"
    assert {paths.wheels.parent, paths.site.parent} == {ROOT / "dist"}
