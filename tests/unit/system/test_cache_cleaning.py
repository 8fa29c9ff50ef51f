"""What the cleaning of the cache knows: each folder in which something of the product keeps things there."""

from __future__ import annotations

import ast
from pathlib import Path

from tfwheel.system import cache_cleaning

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
OWN = {"locks"}  # files without content, which living programs may hold


def folders_in(text: str) -> set[str]:
    """The names in a source of folders of the cache: ``cache / "NAME"``, whoever has that cache."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.BinOp(
                op=ast.Div(), left=ast.Name(id=left) | ast.Attribute(attr=left), right=ast.Constant(value=name)
            ):
                found |= {str(name)} if left == "cache" else set()
    return found


def test_folders_of_the_cache_are_found_in_sources() -> None:
    text = 'x = cache / "a" / key\nkeep(job.paths.cache / "b", Paths.here().cache / "c", folder / "d")\n'
    assert folders_in(text) == {"a", "b", "c"}


def test_every_folder_of_the_cache_is_listed_and_cleaned() -> None:
    used = {name for path in SCRIPTS.rglob("*.py") for name in folders_in(path.read_text(encoding="utf-8"))}
    assert {"ops-sources", "toolchains"} <= used
    assert used - OWN <= set(cache_cleaning.KINDS)
