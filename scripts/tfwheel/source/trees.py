"""Brings the tree of a TensorFlow, patched, and checks that it is what the options of its era were written for."""

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
BAZEL_VERSION = ".bazelversion"
VERSION = "tensorflow/tf_version.bzl"
NUMBERS = re.compile(r'^TF_VERSION = "([^"]+)"', re.MULTILINE)
CONFIG = re.compile(r"^--config=(\S+)$")
DEFINED = re.compile(r"^(?:common|build):([\w.-]+)(?=\s)", re.MULTILINE)
CORRECT = "Correct `commit` or `path` in build_config/sources.toml, or what build_config/eras/ says of that version."


def described(order: SourceOrder) -> str:
    """Return the tree in one line for the wheel's documents, patches included."""
    facts, entry = order.tree_identity, order.entry
    tree = f"git+{entry.git}@{entry.commit}" if entry.git else f"folder sha256:{facts['tree']}"
    return f"{tree} with patches sha256:{facts['patches']}" if facts["patches"] else tree


def bring(order: SourceOrder, cache: Path, work: Path) -> Path:
    """Return the tree, in the cache if it is a commit; a folder of this machine is copied below ``work``.

    Raises CheckoutError if git cannot fetch it, it is not a tree of that version as its era has it, or it was changed
    meanwhile, and PatchError.
    """
    entry, facts = order.entry, order.tree_identity
    owner = f"TensorFlow {entry.tensorflow}"
    if entry.git and entry.commit:
        url, commit = entry.git, entry.commit

        def make(folder: Path) -> None:
            checkouts.check_out(owner, url, commit, folder)
            _patch(order, folder)

        key = digests.of_facts(git=url, **facts)
        busy = f"another run fetches {owner}"
        tree = kept_folders.keep(cache / "source-trees" / key, make, cache=cache, busy=busy)
    else:
        tree = work / "tree"
        shutil.copytree(order.folder, tree, symlinks=True, ignore=digests.ignored)
        if digests.of_sources(tree, without=digests.ignored) != facts["tree"]:
            message = f"{order.folder} changed while it was copied"
            raise CheckoutError(message, remedy="Run the same command again.")
        _patch(order, tree)
    if fault := next(_faults(order, tree), None):
        message = f"the tree of TensorFlow {order.target.tensorflow} for {order.target.id} {fault}"
        raise CheckoutError(message, remedy=CORRECT)
    return tree


def _patch(order: SourceOrder, tree: Path) -> None:
    if order.entry.patches:
        checkouts.patch(order.settings / order.entry.patches, tree)


def _faults(order: SourceOrder, tree: Path) -> Iterator[str]:
    """Yield what a tree lacks of what its era and its target say."""
    era, lock = order.era, f"requirements_lock_{order.target.python.replace('.', '_')}.txt"
    bazel = _text(tree / BAZEL_VERSION).strip()
    if bazel != era.bazel:
        yield f"asks for Bazel {bazel or 'of no version'}, and its era for {era.bazel}"
    version = NUMBERS.search(_text(tree / VERSION))
    if version and version[1].replace("-", "") != order.target.tensorflow:
        yield f"is TensorFlow {version[1]}"
    if not (tree / lock).is_file():
        yield f"has no {lock}"
    configs = set(DEFINED.findall(_text(tree / SETTINGS)))
    for option in order.options:
        config = CONFIG.match(option.flag)
        if config and config[1] not in configs:
            yield f"has no `{config[1]}` in its {SETTINGS}, which {option.flag} asks for"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
