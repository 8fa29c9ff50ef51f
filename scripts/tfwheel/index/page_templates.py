"""Templates of the HTML pages in ``index/page/``, with the style and script that each page inlines.

This is the one place where values become HTML: templates escape them, and ``elements`` does where there are very many.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from tfwheel.config.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOURCES = ROOT / "index" / "page"
CHUNK = 1000  # elements
SEPARATOR = "\0"  # never part of HTML


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


def elements(tag: str, names: tuple[str, ...], rows: Iterable[tuple[str | None, ...]]) -> Iterator[str]:
    """Yield HTML elements, many in one text, each with a ``<br>``; every value is escaped.

    A row has the values of the attributes ``names``, None for one that is left out, and the text. All values are
    escaped at once, which for 100,000 elements takes a tenth of the time of a template.
    """
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        frames = [_frame(tag, names, tuple([value is None for value in row])) for row in chunk]
        values = [value for row in chunk for value in row if value is not None]
        # A separator in a value would be one value too many for the frames.
        yield "".join(frames) % tuple(escape(SEPARATOR.join(values)).split(SEPARATOR))


@cache
def _frame(tag: str, names: tuple[str, ...], missing: tuple[bool, ...]) -> str:
    kept = [name for name, gone in zip((*names, ""), missing, strict=True) if name and not gone]
    return "".join([f"<{tag}", *(f' {name}="%s"' for name in kept), f">%s</{tag}><br>\n"])
