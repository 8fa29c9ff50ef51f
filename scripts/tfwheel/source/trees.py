"""Fetches the tree of a TensorFlow, patches it, and checks that it is what the options of its era were written for."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from tfwheel.source import checkouts
from tfwheel.source.errors import CheckoutError
from tfwheel.system import digests, kept_folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.source.order import SourceOrder

SETTINGS = ".bazelrc"
VERSION = ".bazelversion"
CONFIG = re.compile(r"^--config=(\S+)$")
DEFINED = re.compile(r"^(?:common|build):([\w.-]+)(?=\s)", re.MULTILINE)
CORRECT = "Correct `commit` or `path` in build_config/sources.toml, or what build_config/eras/ says of that version."


def identity(order: SourceOrder) -> dict[str, str]:
    """Return what decides the bytes of a tree; of a folder that is all that a build can see of it."""
    entry, patched = order.entry, order.entry.patches
    tree = entry.commit or digests.of_sources(_folder(order), without=digests.ignored)
    return {"tree": tree, "patches": digests.of_tree(order.settings / patched) if patched else ""}


def described(order: SourceOrder) -> str:
    """Return the tree in one line for the wheel's documents, patches included."""
    facts, entry = identity(order), order.entry
    tree = f"git+{entry.git}@{entry.commit}" if entry.git else f"folder sha256:{facts['tree']}"
    return f"{tree} with patches sha256:{facts['patches']}" if facts["patches"] else tree


def fetch(order: SourceOrder, cache: Path) -> Path:
    """Return the tree: a folder of this machine where it is, or what was fetched or patched, in the cache.

    Raises CheckoutError if git cannot fetch it, or it is not a tree of that version as its era has it, and PatchError.
    """
    tree = _folder(order) if order.entry.path and not order.entry.patches else _made(order, cache)
    if fault := next(_faults(order, tree), None):
        message = f"the tree of TensorFlow {order.target.tensorflow} for {order.target.id} {fault}"
        raise CheckoutError(message, remedy=CORRECT)
    return tree


def _folder(order: SourceOrder) -> Path:
    return (order.settings / str(order.entry.path)).resolve()


def _made(order: SourceOrder, cache: Path) -> Path:
    entry = order.entry
    owner = f"TensorFlow {entry.tensorflow}"

    def make(folder: Path) -> None:
        if entry.git and entry.commit:
            checkouts.check_out(owner, entry.git, entry.commit, folder)
        else:
            shutil.copytree(_folder(order), folder, symlinks=True, dirs_exist_ok=True, ignore=digests.ignored)
        if entry.patches:
            checkouts.patch(order.settings / entry.patches, folder)

    key = digests.of_facts(git=entry.git, **identity(order))
    busy = f"another run fetches {owner}"
    return kept_folders.keep(cache / "source-trees" / key, make, cache=cache, busy=busy)


def _faults(order: SourceOrder, tree: Path) -> Iterator[str]:
    """Yield what a tree lacks of what its era says."""
    era, lock = order.era, f"requirements_lock_{order.target.python.replace('.', '_')}.txt"
    found = _text(tree / VERSION).strip()
    if found != era.bazel:
        yield f"asks for Bazel {found or 'of no version'}, and its era for {era.bazel}"
    if not (tree / lock).is_file():
        yield f"has no {lock}"
    configs = set(DEFINED.findall(_text(tree / SETTINGS)))
    for option in order.options:
        config = CONFIG.match(option.flag)
        if config and config[1] not in configs:
            yield f"has no `{config[1]}` in its {SETTINGS}, which {option.flag} asks for"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
