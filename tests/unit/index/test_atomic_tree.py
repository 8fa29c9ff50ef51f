"""Tree: it changes as a whole or not at all, and makes only the parts that changed."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tfwheel.index import atomic_tree
from tfwheel.index.atomic_tree import Part
from tfwheel.index.errors import SiteError
from tfwheel.system.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


def part(files: Mapping[str, bytes | Path], key: str | None = None) -> Part:
    """A part whose key follows from its files."""
    return Part(key=key or repr(files), make=lambda: files)


def never() -> NoReturn:
    pytest.fail("a part that did not change was made again")


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


ONE = {"one": part({"a/index.html": b"1", "a/index.json": b"{}"}), "two": part({"b/index.html": b"2"})}
NEXT = {"one": Part(key=ONE["one"].key, make=never), "three": part({"c/index.html": b"three"})}


def test_the_tree_is_exactly_the_files_of_its_parts(site: Path) -> None:
    change = atomic_tree.update(site, ONE)
    assert change
    assert change.made == ("one", "two")
    assert change.written == 4
    assert contents(site) == {"a/index.html": b"1", "a/index.json": b"{}", "b/index.html": b"2"}


def test_only_what_changed_is_made_and_what_is_gone_leaves_no_trace(site: Path) -> None:
    atomic_tree.update(site, ONE)
    before = (site / "a/index.html").stat().st_ino
    change = atomic_tree.update(site, NEXT)
    assert change
    assert change.made == ("three",)
    assert change.written == len(b"three")
    assert contents(site) == {"a/index.html": b"1", "a/index.json": b"{}", "c/index.html": b"three"}
    assert (site / "a/index.html").stat().st_ino == before


def test_nothing_is_touched_when_nothing_changed(site: Path) -> None:
    atomic_tree.update(site, ONE)
    before = site.readlink()
    same = {name: Part(key=entry.key, make=never) for name, entry in ONE.items()}
    assert atomic_tree.update(site, same) is None
    assert site.readlink() == before


def test_a_part_that_goes_is_a_change(site: Path) -> None:
    atomic_tree.update(site, ONE)
    assert atomic_tree.update(site, {"two": ONE["two"]})
    assert contents(site) == {"b/index.html": b"2"}
    assert atomic_tree.update(site, {})
    assert contents(site) == {}
    assert site.is_dir()


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_damaged_file_is_made_again(site: Path, harm: str) -> None:
    atomic_tree.update(site, ONE)
    path = site / "a/index.html"
    path.unlink()
    if harm == "cut":
        path.write_bytes(b"")
    change = atomic_tree.update(site, ONE)
    assert change
    assert change.made == ("one",)
    assert path.read_bytes() == b"1"


def test_files_are_linked_and_copied_where_they_cannot_be(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "w.whl"
    wheel.write_bytes(b"wheel")
    atomic_tree.update(site, {"w": part({"w.whl": wheel})})
    assert (site / "w.whl").samefile(wheel)

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    atomic_tree.update(site, {"w": part({"w.whl": wheel}), "one": ONE["one"]})
    assert (site / "w.whl").read_bytes() == b"wheel"
    assert not (site / "w.whl").samefile(wheel)


def test_the_seal_sees_every_file_and_stands_beside_them(site: Path) -> None:
    def seal(files: Mapping[str, Path]) -> dict[str, bytes]:
        return {"seal.txt": b" ".join(path.read_bytes() for _, path in sorted(files.items()))}

    atomic_tree.update(site, ONE, seal=seal)
    assert (site / "seal.txt").read_bytes() == b"1 {} 2"
    assert atomic_tree.update(site, ONE, seal=seal) is None
    atomic_tree.update(site, NEXT, seal=seal)
    assert (site / "seal.txt").read_bytes() == b"1 {} three"


def test_the_tree_before_can_be_shown_again_once(site: Path) -> None:
    atomic_tree.update(site, ONE, keep_previous=True)
    first = contents(site)
    atomic_tree.update(site, NEXT, keep_previous=True)
    atomic_tree.restore(site)
    assert contents(site) == first
    with pytest.raises(SiteError, match="not kept"):
        atomic_tree.restore(site)
    atomic_tree.update(site, NEXT, keep_previous=True)
    assert (site / "c/index.html").exists()
    atomic_tree.restore(site)
    assert contents(site) == first


def test_only_the_trees_that_are_needed_are_kept(site: Path) -> None:
    for number in range(4):
        atomic_tree.update(site, {"n": part({"n": str(number).encode()})}, keep_previous=True)
    numbers = sorted(path.name for path in (site.parent / ".site").iterdir() if path.is_dir())
    assert numbers == ["3", "4"]
    with pytest.raises(SiteError):
        atomic_tree.restore(site.with_name("other"))


def test_a_tree_that_was_shown_on_trial_goes_when_another_takes_its_place(site: Path) -> None:
    for parts, trusted in ((ONE, True), (NEXT, True), ({"four": part({"d": b"4"})}, False)):
        atomic_tree.prepare(site, parts, trusted=trusted)
        atomic_tree.show(site)
    assert {path.name for path in (site.with_name(".site")).iterdir() if path.name.isdigit()} == {"1", "3"}
    atomic_tree.restore(site)
    assert contents(site) == {"a/index.html": b"1", "a/index.json": b"{}", "b/index.html": b"2"}


def test_no_failure_harms_the_tree_that_is_shown(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic_tree.update(site, ONE)
    before = contents(site)
    clash = {**ONE, "three": part({"b/index.html": b"also mine"})}
    with pytest.raises(SiteError, match=r"index\.html"):
        atomic_tree.update(site, clash)
    assert contents(site) == before
    for code, name in [(errno.ENOSPC, DiskFullError), (errno.EROFS, SiteError)]:

        def fail(_number: int, code: int = code) -> NoReturn:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(name, match="site"):
            atomic_tree.update(site, NEXT)
        assert contents(site) == before
    monkeypatch.undo()
    assert atomic_tree.update(site, NEXT)


CHANGING = ("fsync", "mkdir", "unlink", "rmdir", "replace", "link", "symlink")


def killed_after(steps: int, monkeypatch: pytest.MonkeyPatch, site: Path) -> bool:
    """Update the tree, but stop dead before the step after ``steps`` of those that change something."""
    left = [steps]

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def step(*words: object, **options: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return real(*words, **options)

        return step

    with monkeypatch.context() as patch:
        for name in CHANGING:
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            atomic_tree.update(site, NEXT, keep_previous=True)
        except KeyboardInterrupt:
            return True
    return False


def test_a_kill_at_any_step_leaves_the_old_tree_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    for steps in range(100):
        site = tmp_path / str(steps) / "site"
        atomic_tree.update(site, {**ONE, "four": part({"d": b"4"})})
        atomic_tree.update(site, ONE, keep_previous=True)
        old = contents(site)
        killed = killed_after(steps, monkeypatch, site)
        found = contents(site)
        seen.add(tuple(found))
        assert found in (old, {"a/index.html": b"1", "a/index.json": b"{}", "c/index.html": b"three"})
        atomic_tree.update(site, NEXT, keep_previous=True)
        assert "c/index.html" in contents(site)
        assert len([path for path in (site.parent / ".site").iterdir() if path.is_dir()]) == 2
        atomic_tree.restore(site)
        assert contents(site) == old
        if not killed:
            break
    assert steps > 10
    assert len(seen) == 2


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_what_this_program_did_not_make_is_left_alone(site: Path, what: str) -> None:
    if what == "folder":
        site.mkdir()
    elif what == "file":
        site.write_text("mine")
    else:
        site.symlink_to("/nowhere")
    before = site.lstat()
    with pytest.raises(SiteError, match="not an index that this program made") as caught:
        atomic_tree.update(site, ONE)
    assert "Move it" in caught.value.remedy
    assert site.lstat() == before


def test_the_folder_can_be_moved(site: Path, tmp_path: Path) -> None:
    atomic_tree.update(site, ONE)
    (tmp_path / "moved").mkdir()
    shutil.move(site.parent / ".site", tmp_path / "moved" / ".site")
    shutil.move(site, tmp_path / "moved" / "site")
    assert (tmp_path / "moved/site/a/index.html").read_bytes() == b"1"
