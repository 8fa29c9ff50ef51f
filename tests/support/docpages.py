"""The documents of the repository as tests read them: links, anchors, code, tables, and the sessions they name."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from tfwheel.config.paths import ROOT
from tfwheel.index import documents

if TYPE_CHECKING:
    from pathlib import Path

    from markdown_it.token import Token

SHELLS = {"sh", "bash", "console"}
NOT_RUN = "not-run:"  # begins the reason, after the language of a block
DOCUMENTS = sorted(
    path
    for pattern in ("README.md", "index/docs/*.md", ".github/**/*.md", "build_config/*/README.md")
    for path in ROOT.glob(pattern)
)
IN_WHEELS = {"build_config/ops/README.md"}  # the description of a distribution: its users run the blocks


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, why it is not run (empty where it is), its text."""

    where: str
    language: str
    reason: str
    text: str


def name_of(path: Path) -> str:
    """The path below the root of the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def read(path: Path) -> documents.Document:
    """A document, parsed as the site parses it."""
    return documents.parse(name_of(path), path.read_text(encoding="utf-8"))


def tokens(path: Path) -> list[Token]:
    """All tokens of a document, those inside paragraphs and tables included."""
    return [inner for token in read(path).tokens for inner in (token, *(token.children or ()))]


def links(path: Path) -> list[str]:
    """Where its links lead and its images come from."""
    return [str(token.attrs.get("href") or token.attrs.get("src")) for token in documents.links(read(path))]


def anchors(path: Path) -> set[str]:
    """The anchors of its headings."""
    return {str(token.attrs["id"]) for token in read(path).tokens if "id" in token.attrs}


def code(path: Path) -> list[str]:
    """What stands in backticks within its text."""
    return [token.content for token in tokens(path) if token.type == "code_inline"]


def blocks(path: Path) -> list[Block]:
    """Its fenced blocks, but for a document whose blocks are for other readers than those of this repository."""
    found: list[Block] = []
    if name_of(path) in IN_WHEELS:
        return found
    for token in read(path).tokens:
        if token.type == "fence":
            language, _, rest = token.info.partition(" ")
            where = f"{name_of(path)}:{(token.map or [0])[0] + 1}"
            reason = rest.removeprefix(NOT_RUN).strip() if rest.startswith(NOT_RUN) else ""
            found.append(Block(where, language, reason, token.content))
    return found


def table(path: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, as the Markdown of each cell, the header left out."""
    section = path.read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows, f"{path.name} has no table below {heading}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[0].splitlines()[2:]]


def plain(markdown: str) -> str:
    """The text of a cell."""
    inline = MarkdownIt("commonmark").parseInline(markdown)[0]
    return "".join(child.content for child in inline.children or ())


@cache
def sessions() -> dict[str, list[str]]:
    """The sessions of the noxfile by name, each with the door and the words that it enters it with, where it does."""
    found = {}
    for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        for decorator in getattr(node, "decorator_list", ()):
            call = decorator if isinstance(decorator, ast.Call) else None
            if ast.unparse(call.func if call else decorator) == "nox.session":
                names = [word.value.value for word in (call.keywords if call else ()) if word.arg == "name"]
                found[names[0] if names else node.name] = _entered(node)
    return found


def _entered(node: ast.AST) -> list[str]:
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call) and ast.unparse(call.func) == "enter"]
    return [word.value for call in calls[:1] for word in call.args if isinstance(word, ast.Constant)]
