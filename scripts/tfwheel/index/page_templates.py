"""The templates of the pages for people in ``index/page/``, and the style and script that each page holds inside."""

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
    """A template of the folder; everything that it shows is escaped unless it is marked as HTML."""
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
    """Files of the folder as one element of a page: ``{kind: text, kind_hash: source}``.

    The source is what the page's policy admits the element by, and nothing else (CSP level 2).
    """
    text = "".join((SOURCES / name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {
        kind: Markup(text),  # noqa: S704 -- the project's own files
        f"{kind}_hash": Markup(f"sha256-{digest}"),  # noqa: S704 -- base64
    }
