"""Where pip is configured to get packages from on this machine, in a form that a container can be given."""

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
SECTIONS = ("global", "install", ":env:")  # the later one counts, as with pip


@dataclass(frozen=True, kw_only=True)
class PipSettings:
    """pip's options by name, without the dashes: those that say where packages come from, and no others."""

    options: Mapping[str, str]

    @classmethod
    def here(cls) -> PipSettings:
        """What pip's files and variables say on this machine."""
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
        """A pip.conf that says the same. It may hold passwords: whoever writes it keeps others from reading it."""
        parser = RawConfigParser()
        parser["global"] = self.options
        stream = io.StringIO()
        parser.write(stream)
        return stream.getvalue()

    def paths(self) -> tuple[Path, ...]:
        """The files and folders of this machine that the options name; of an index, the folder with its files too."""
        return tuple(sorted({path for path in self._paths() if path.exists()}))

    def _paths(self) -> Iterator[Path]:
        for key, value in self.options.items():
            for word in value.split():
                url = urlsplit(word)
                path = Path(unquote(url.path) if url.scheme == "file" else word)
                if path.is_absolute():
                    # The pages of an index link to files beside it: ../../files/
                    yield path.parent if key in INDEXES and len(path.parts) > len(("/", "index")) else path
