"""Equal inputs give equal keys, and every change that matters gives another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tfwheel.system import digests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_tree_is_its_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.cc").write_text("one")
    first = digests.of_tree(tmp_path)
    (tmp_path / "src" / "a.cc").write_text("two")
    second = digests.of_tree(tmp_path)
    (tmp_path / "src" / "a.cc").rename(tmp_path / "src" / "b.cc")
    third = digests.of_tree(tmp_path)
    assert len({first, second, third}) == 3


def test_caches_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one")
    before = digests.of_tree(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("compiled")
    assert digests.of_tree(tmp_path) == before


def test_a_folder_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    assert digests.of_tree(tmp_path / "none") == digests.of_tree(tmp_path)


def test_facts_have_no_order_but_names_and_values() -> None:
    assert digests.of_facts(a=1, b=[2, 3]) == digests.of_facts(b=[2, 3], a=1)
    assert digests.of_facts(a=1) != digests.of_facts(b=1)
    assert digests.of_facts(a=[2, 3]) != digests.of_facts(a=[3, 2])


def test_the_tools_that_leave_traces_in_a_wheel_are_named() -> None:
    assert {"auditwheel", "cmake", "scikit-build-core"} <= set(digests.tool_versions())


def test_output_at_the_top_does_not_count_and_sources_of_that_name_do(tmp_path: Path) -> None:
    before = digests.of_tree(tmp_path)
    for name in ("build", "dist"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.o").write_text("compiled")
    assert digests.of_tree(tmp_path) == before
    (tmp_path / "src" / "build").mkdir(parents=True)
    (tmp_path / "src" / "build" / "kernel.h").write_text("one")
    assert digests.of_tree(tmp_path) != before


def test_a_file_named_as_an_output_folder_counts(tmp_path: Path) -> None:
    before = digests.of_tree(tmp_path)
    (tmp_path / "dist").write_text("one")
    assert digests.of_tree(tmp_path) != before


def of_sources(folder: Path) -> str:
    return digests.of_sources(folder, without=digests.ignored)


def test_all_that_a_build_sees_of_sources_changes_their_digest(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    found = [of_sources(tmp_path)]
    changes: list[Callable[[], object]] = [
        lambda: file.write_text("two"),
        lambda: file.chmod(0o755),
        lambda: (tmp_path / "b").symlink_to("a"),
        lambda: (tmp_path / "b").unlink() or (tmp_path / "b").symlink_to("b"),  # type: ignore[func-returns-value]
        (tmp_path / "build").mkdir,
        lambda: (tmp_path / "build" / "made.cc").write_text("three"),
        lambda: (tmp_path / "c").symlink_to("no-such"),
    ]
    for change in changes:
        change()
        found.append(of_sources(tmp_path))
    assert len(set(found)) == len(changes) + 1
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("five")
    assert of_sources(tmp_path) == found[-1]
    assert digests.of_tree(tmp_path) != digests.of_tree(tmp_path / "build")  # names that are no text are no error


def test_a_pipe_among_sources_is_an_error_and_nothing_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="neither a file nor a folder"):
        of_sources(tmp_path)
