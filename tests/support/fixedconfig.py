"""A configuration that stays as it is, for tests that state what the factory makes of it.

It is a copy of ``build_config/`` as this repository had it: a fork that changes its own need not change these tests.
"""

from __future__ import annotations

from pathlib import Path

from tfwheel.config import build_config, ci_settings

DIRECTORY = Path(__file__).parents[1] / "data" / "build_config"
CONFIG, CI = build_config.load(DIRECTORY), ci_settings.load(DIRECTORY)
