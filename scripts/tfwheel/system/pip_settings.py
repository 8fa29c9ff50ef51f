"""Read which indexes and proxies pip is configured to use on this machine, and write that for a container."""

from __future__ import annotations

import ast
import io
import sys
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INDEXES = ("index-url", "extra-index-url")
KEYS = (
    *INDEXES,
    "cert",
    "client-cert",
    "default-timeout",
    "find-links",
    "no-index",
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
)
SECTIONS = ("global", "install", ":env:")  # a later section overrides an earlier one, as in pip


@dataclass(frozen=True, kw_only=True)
class PipSettings:
    """pip's options about where packages come from, by name, without the dashes."""

    options: Mapping[str, str]

    @classmethod
    def here(cls) -> PipSettings:
        """Read the options from pip's configuration files and environment variables on this machine."""
        return cls.parse(run([sys.executable, "-m", "pip", "config", "list"]))

    @classmethod
    def parse(cls, listing: str) -> PipSettings:
        """Read the output of ``pip config list``: lines such as ``global.cert='/etc/ssl/cert.pem'``."""
        found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
        for line in listing.splitlines():
            name, _, value = line.partition("=")
            section, _, key = name.rpartition(".")
            if section in found and key in KEYS:
                found[section][key] = ast.literal_eval(value)
        options = {key: value for section in SECTIONS for key, value in found[section].items()}
        return cls(options=dict(sorted(options.items())))

    def text(self) -> str:
        """Return the options as a pip.conf. It may hold passwords: write it to a file that only its owner can read."""
        parser = RawConfigParser()
        parser["global"] = self.options
        stream = io.StringIO()
        parser.write(stream)
        return stream.getvalue()

    def paths(self) -> tuple[Path, ...]:
        """Return the local files and folders in the options; for an index, the folder that holds its files, too."""
        return tuple(sorted({path for path in self._paths() if path.exists()}))

    def _paths(self) -> Iterator[Path]:
        for key, value in self.options.items():
            for word in value.split():
                url = urlsplit(word)
                path = Path(unquote(url.path) if url.scheme == "file" else word)
                if path.is_absolute():
                    # The pages of an index link to files beside it: ../../files/
                    yield path.parent if key in INDEXES and len(path.parts) > len(("/", "index")) else path
