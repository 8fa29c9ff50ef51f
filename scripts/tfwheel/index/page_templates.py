"""Templates of the HTML pages in ``index/page/``, with the style and script that each page inlines."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from tfwheel.config.paths import ROOT

SOURCES = ROOT / "index" / "page"


@cache
def template(name: str) -> Template:
    """Load a template of ``index/page/``; values are escaped unless they are marked as HTML."""
    environment = Environment(
        loader=FileSystemLoader(SOURCES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


@cache
def inlined(kind: str, *names: str) -> dict[str, Markup]:
    """Join files of ``index/page/`` into one inline element of a page: ``{kind: text, kind_hash: source}``.

    The hash source is the only one that the page's Content Security Policy allows (CSP level 2).
    """
    text = "".join((SOURCES / name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {
        kind: Markup(text),  # noqa: S704 -- the project's own files
        f"{kind}_hash": Markup(f"sha256-{digest}"),  # noqa: S704 -- base64
    }
