"""Which settings are said, and that nothing secret is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.doctor import settings

if TYPE_CHECKING:
    from pathlib import Path


def test_settings_that_installers_obey_are_said(tmp_path: Path) -> None:
    there = tmp_path / "constraints.txt"
    there.touch()
    variables = {"PIP_CONSTRAINT": str(there), "UV_CONSTRAINT": "./backend-container/x.txt", "UV_CACHE_DIR": "x"}
    assert settings.obeyed_settings(variables) == [
        f"PIP_CONSTRAINT is set to {there}.",
        "UV_CONSTRAINT is set to ./backend-container/x.txt, a file that is not there: unset it.",
    ]


def test_only_values_of_known_settings_are_shown_and_of_their_urls_the_host() -> None:
    variables = {
        "PIP_INDEX_URL": "https://al:p@s5SEC@host/simple",
        "PIP_FIND_LINKS": "https://h.example/x#token=SEC /data/wheels",
        "PIP_EXTRA_INDEX_URL": "al:SEC@h/simple",
        "PIP_PROXY": "al:SEC@proxy:3128",
        "UV_INDEX": "mine=socks5://al:SEC@h/x https://dl.example/SEC/y/",
        "UV_INDEX_X_USERNAME": "SEC",
        "UV_PUBLISH_TOKEN": "SEC",
        "TF_VAR_db": "postgres://al:SEC@h",
        "TF_CONFIG": "SEC",
        "XLA_FLAGS": "--xla_gpu_cuda_data_dir=/usr/local/cuda",
        "HOME": "SEC",
    }
    assert settings.settings_of(variables) == {
        "PIP_INDEX_URL": "https://host/...",
        "PIP_FIND_LINKS": "https://h.example/... /data/wheels",
        "PIP_EXTRA_INDEX_URL": "set",
        "PIP_PROXY": "set",
        "UV_INDEX": "mine=socks5://h/... https://dl.example/...",
        "UV_INDEX_X_USERNAME": "set",
        "UV_PUBLISH_TOKEN": "set",
        "XLA_FLAGS": "--xla_gpu_cuda_data_dir=/usr/local/cuda",
    }


def test_what_is_not_set_is_not_said_and_a_url_is_no_missing_file() -> None:
    variables = {"PIP_NO_INDEX": "0", "UV_OFFLINE": "False", "PIP_CONSTRAINT": "https://al:SEC@h.example/c.txt"}
    assert settings.obeyed_settings(variables) == ["PIP_CONSTRAINT is set to https://h.example/...."]
