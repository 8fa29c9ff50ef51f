"""Renders the Markdown of ``index/docs/`` as pages of the site, in the style of the landing page; pure."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.anchors.index import slugify

from tfwheel.config.paths import ROOT
from tfwheel.index import page_templates
from tfwheel.index.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SOURCES = ROOT / "index" / "docs"
PLACE = "index/docs"  # of the documents in the repository
FOLDER = "docs"  # of the pages in the site
CONTENTS = "README.md"  # links to the others: their order is the order of the navigation
# Pictures alone: an SVG that is opened by itself may run a script.
IMAGES = (".avif", ".gif", ".jpeg", ".jpg", ".png", ".webp")
DEEPEST = 3  # headings below have no anchor
SCROLLED = {"tabindex": "0", "class": "scroll"}  # wide tables and code scroll, by keyboard too


@dataclass(frozen=True, kw_only=True)
class Document:
    """A parsed document; ``sections`` are (anchor, title)."""

    name: str
    title: str
    sections: tuple[tuple[str, str], ...]
    tokens: Sequence[Token]

    @property
    def page(self) -> str:
        """The file name of its page."""
        return page_of(self.name)

    @property
    def href(self) -> str:
        """The link to its page from the pages beside it."""
        return quote(self.page)


def read(folder: Path = SOURCES) -> dict[str, bytes]:
    """Read all files of the folder, by path below it; empty if there is no folder.

    Raises DocumentError for a link, which could show any file of the machine, and for a document in a folder below.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            message = f"{path} is a link"
            raise DocumentError(message, remedy="Put the file itself there.")
        if path.is_file():
            if name.endswith(".md") and "/" in name:
                message = f"{path}: documents are in {folder} itself, and only images are in folders below"
                raise DocumentError(message)
            found[name] = path.read_bytes()
    return found


def render(files: Mapping[str, bytes], *, repository: str = "") -> dict[str, bytes]:
    """Render these files as pages; returns pages and images by path below the root of the site.

    ``repository`` is the GitHub "owner/name" for links to other files of the repository; if it is empty, their paths
    are shown instead. HTML in a document is shown as text.
    """
    documents = [parse(name, _decoded(name, data)) for name, data in files.items() if name.endswith(".md")]
    if {CONTENTS, "index.md"} <= set(files):
        message = f"{PLACE}/index.md and {PLACE}/{CONTENTS} would both be index.html"
        raise DocumentError(message, remedy="Rename index.md.")
    ordered = _in_order({document.name: document for document in documents})
    pages = {f"{FOLDER}/{document.page}": _page(document, ordered, repository) for document in ordered}
    return pages | {f"{FOLDER}/{name}": data for name, data in files.items() if name.endswith(IMAGES)}


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{PLACE}/{name} is not UTF-8: {error}"
        raise DocumentError(message) from error


def page_of(name: str) -> str:
    """Return the file name of a document's page; the table of contents is ``index.html``."""
    return "index.html" if name == CONTENTS else f"{name.removesuffix('.md')}.html"


def parse(name: str, text: str) -> Document:
    """Parse a document; its headings get the same anchors as on GitHub."""
    tokens = _markdown().parse(text)
    headings = [(token, tokens[at + 1]) for at, token in enumerate(tokens) if token.type == "heading_open"]
    return Document(
        name=name,
        title=next((_text(inline) for token, inline in headings if token.tag == "h1"), name),
        sections=tuple((str(token.attrs["id"]), _text(inline)) for token, inline in headings if token.tag == "h2"),
        tokens=tokens,
    )


def links(document: Document) -> Iterator[Token]:
    """Yield the links and images of a document in text order; their targets are in ``href`` and ``src``."""
    for token in document.tokens:
        yield from (child for child in token.children or () if child.type in {"link_open", "image"})


def _markdown() -> MarkdownIt:
    """Return a parser for CommonMark with tables; HTML is escaped."""
    return (
        MarkdownIt("commonmark", {"html": False})
        .enable("table")
        .use(anchors_plugin, max_level=DEEPEST, slug_func=lambda title: slugify(title) or "section")
    )


def _text(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def _in_order(documents: Mapping[str, Document]) -> list[Document]:
    """Sort documents: the contents, then in the order of its links, then the rest by name."""
    first = documents.get(CONTENTS)
    linked = [str(token.attrs.get("href")) for token in links(first)] if first else []
    names = dict.fromkeys([CONTENTS, *linked, *sorted(documents)])
    return [documents[name] for name in names if name in documents]


def _page(document: Document, every: Sequence[Document], repository: str) -> bytes:
    known = {f"{PLACE}/{other.name}" for other in every}
    tokens = [_led(token, known, repository) for token in document.tokens]
    text = page_templates.template("docs.html").render(
        current=document,
        documents=every,
        body=Markup(_html(tokens)),  # noqa: S704 -- rendered with HTML switched off
        **page_templates.inlined("style", "page.css", "docs.css"),
    )
    return text.encode()


def _html(tokens: Sequence[Token]) -> str:
    """HTML of a document; tables and code are put into frames that scroll by themselves."""
    framed: list[Token] = []
    for token in tokens:
        wide = token.type in {"table_open", "table_close", "fence"}
        opens, closes = wide and token.type != "table_close", wide and token.type != "table_open"
        framed += [Token("frame_open", "div", 1, attrs=dict(SCROLLED), block=True)] if opens else []
        framed += [token]
        framed += [Token("frame_close", "div", -1, block=True)] if closes else []
    markdown = _markdown()
    return str(markdown.renderer.render(framed, markdown.options, {}))


def _led(token: Token, known: set[str], repository: str) -> Token:
    """Rewrite the links of a block: relative to the document before, relative to the page after."""
    if token.type != "inline" or not token.children:
        return token
    children: list[Token] = []
    ended: list[Token] = []  # the closing tokens of the open link
    for child in token.children:
        if child.type == "link_open":
            opened, ended = _link(child, known, repository)
            children += opened
        elif child.type == "link_close":
            children += ended
        else:
            children.append(child)
    return token.copy(children=children)


def _link(token: Token, known: set[str], repository: str) -> tuple[list[Token], list[Token]]:
    """Return the tokens before and after the text of a link."""
    closed = [Token("link_close", "a", -1)]
    href = str(token.attrs["href"])
    target = urlsplit(href)
    if target.scheme or not (target.netloc or target.path):
        return [token], closed
    path = posixpath.normpath(posixpath.join(PLACE, unquote(target.path)))
    if target.netloc or path.startswith(("/", "../")) or path == "..":
        message = f"a document of {PLACE} links to {href}, which is not in the repository"
        raise DocumentError(message, remedy="Give the path from the document, or a whole URL with https://.")
    anchor = f"#{target.fragment}" if target.fragment else ""
    if path in known:
        href = f"{quote(page_of(posixpath.relpath(path, PLACE)))}{anchor}"
    elif repository:
        href = f"https://github.com/{repository}/blob/HEAD/{quote(path)}{anchor}"
    else:
        shown = Token("code_inline", "code", 0, content=path, markup="`")
        return [], [Token("text", "", 0, content=" ("), shown, Token("text", "", 0, content=")")]
    return [token.copy(attrs={**token.attrs, "href": href})], closed
