"""Patches apply to the very lines they name, or say which line is another one."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest

from tfwheel.config.paths import CONFIG_DIR
from tfwheel.wheel import patches, unified_diff
from tfwheel.wheel.errors import PatchError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "tensorflow/a.py"
OLD = "".join(f"line {number}\n" for number in range(1, 21))
HEAD = f"--- a/{NAME}\n+++ b/{NAME}\n"
GOOD = HEAD + "@@ -2,3 +2,4 @@\n line 2\n-line 3\n+new 3\n+more\n line 4\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the patches of a test stand."""
    path = tmp_path / "2.20.0"
    path.mkdir()
    return path


def applied(folder: Path, *texts: str, files: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """Apply these patches, in this order, to these files."""
    have = {NAME: OLD.encode()} if files is None else files
    for number, text in enumerate(texts):
        (folder / f"{number}.patch").write_bytes(text.encode())
    return patches.apply_folder(folder, names=have, read=have.__getitem__, version="2.20.0+cu125.1")


def refusal(folder: Path, *texts: str, files: dict[str, bytes] | None = None) -> str:
    """Why patches are refused."""
    with pytest.raises(PatchError) as caught:
        applied(folder, *texts, files=files)
    assert str(folder) in caught.value.message
    return caught.value.message


def test_a_patch_changes_the_lines_it_names(folder: Path) -> None:
    assert applied(folder, GOOD) == {NAME: OLD.replace("line 3\n", "new 3\nmore\n").encode()}


def test_no_folder_and_no_patches_change_nothing(tmp_path: Path, folder: Path) -> None:
    assert applied(folder) == {}
    assert patches.apply_folder(tmp_path / "2.99.0", names=(), read=bytes, version="1") == {}


def test_several_hunks_and_words_around_them(folder: Path) -> None:
    text = (
        "From: someone\nSubject: why\n\n---\n a.py | 2 +-\n\n"
        f"diff --git a/{NAME} b/{NAME}\nindex 1234567..89abcde 100644\n"
        + GOOD
        + "@@ -10,2 +11,1 @@ def f():\n line 10\n-line 11\n@@ -20 +20,2 @@\n line 20\n+21\n-- \n2.43.0\n"
    )
    expected = OLD.replace("line 3\n", "new 3\nmore\n").replace("line 11\n", "") + "21\n"
    assert applied(folder, text) == {NAME: expected.encode()}


def test_lines_can_be_put_in_without_context(folder: Path) -> None:
    assert applied(folder, HEAD + "@@ -0,0 +1 @@\n+first\n")[NAME] == b"first\n" + OLD.encode()
    assert applied(folder, HEAD + "@@ -5,0 +6 @@\n+in\n")[NAME] == OLD.replace("line 5\n", "line 5\nin\n").encode()


def test_patches_of_one_file_need_not_know_of_each_other(folder: Path) -> None:
    below = HEAD + "@@ -4,3 +4,3 @@\n line 4\n-line 5\n+new 5\n line 6\n"
    expected = OLD.replace("line 3\n", "new 3\nmore\n").replace("line 5", "new 5").encode()
    assert applied(folder, GOOD, below)[NAME] == expected == applied(folder, below, GOOD)[NAME]


def test_a_patch_made_against_another_patch_is_told_which(folder: Path) -> None:
    later = HEAD + "@@ -3 +3 @@\n-new 3\n+newer\n"
    said = refusal(folder, GOOD, later)
    assert "1.patch: tensorflow/a.py, hunk 1 does not apply: line 3 is 'line 3', the patch expects 'new 3'" in said
    assert said.endswith(", which 0.patch writes")


@pytest.mark.parametrize(
    "hunk",
    [
        "@@ -3 +3 @@\n-line 3\n+x\n",
        "@@ -2,3 +2 @@\n-line 2\n-line 3\n-line 4\n+x\n",
        "@@ -2,0 +3 @@\n+x\n",
    ],
)
def test_two_patches_of_one_line_are_refused_and_both_are_named(folder: Path, hunk: str) -> None:
    for order in ((GOOD, HEAD + hunk), (HEAD + hunk, GOOD)):
        said = refusal(folder, *order)
        assert re.search(r"1\.patch: .*, hunk 1 changes line [23] of the official file, and so does .*0\.patch", said)


def test_two_lines_never_become_one(folder: Path) -> None:
    said = refusal(folder, HEAD + "@@ -1,0 +2 @@\n+b\n", files={NAME: b"a"})
    assert "ends without a newline and is not the last" in said


def test_this_projects_own_patch_moves_no_line_for_others(folder: Path) -> None:
    name = "tensorflow/python/framework/versions.py"
    (own,) = (CONFIG_DIR / "patches" / "2.20.0").glob("build-label.patch")
    (change,) = [one for one in unified_diff.parse(own.read_text()) if one.target == f"b/{name}"]
    (hunk,) = change.hunks
    lines = [*(f"line {number}\n" for number in range(1, hunk.start + 1)), *hunk.expected, "last\n"]
    number = len(lines)
    mine = f"--- a/{name}\n+++ b/{name}\n@@ -{number} +{number} @@\n-last\n+mine\n"
    api = "tensorflow/_api/v2/version/__init__.py"
    official = (hunk_lines(own, api), "".join(lines))
    found = applied(folder, own.read_text(), mine, files={api: official[0].encode(), name: official[1].encode()})
    assert b'BUILD_LABEL = "2.20.0+cu125.1"' in found[name]
    assert found[name].endswith(b"mine\n")


def hunk_lines(patch: Path, name: str) -> str:
    """The text of an official file as far as a patch knows it."""
    (change,) = [one for one in unified_diff.parse(patch.read_text()) if one.target == f"b/{name}"]
    (hunk,) = change.hunks
    return "".join(["#\n" * hunk.start, *hunk.expected])


def test_one_patch_can_change_several_files(folder: Path) -> None:
    other = "tensorflow/b.py"
    files = {NAME: OLD.encode(), other: OLD.encode()}
    assert applied(folder, GOOD + GOOD.replace(NAME, other), files=files).keys() == {NAME, other}


def test_the_version_is_put_into_added_lines_only(folder: Path) -> None:
    files = {NAME: b"V = '@VERSION@'\n"}
    text = HEAD + "@@ -1 +1,2 @@\n V = '@VERSION@'\n+W = '@VERSION@'\n"
    assert applied(folder, text, files=files)[NAME] == b"V = '@VERSION@'\nW = '2.20.0+cu125.1'\n"


@pytest.mark.parametrize(
    ("old", "hunk", "new"),
    [
        (b"a", "-a\n\\ No newline at end of file\n+b\n", b"b\n"),
        (b"a\n", "-a\n+b\n\\ No newline at end of file\n", b"b"),
        (b"a", "-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n", b"b"),
    ],
)
def test_a_missing_last_newline_is_exact_too(folder: Path, old: bytes, hunk: str, new: bytes) -> None:
    assert applied(folder, f"{HEAD}@@ -1 +1 @@\n{hunk}", files={NAME: old}) == {NAME: new}
    refusal(folder, f"{HEAD}@@ -1 +1 @@\n{hunk}", files={NAME: old.rstrip() if old.endswith(b"\n") else old + b"\n"})


@pytest.mark.parametrize("line", ["form\x0cfeed", "no\x0bbreak\x1c", "next\x85line\u2028"])
def test_only_a_newline_ends_a_line(folder: Path, line: str) -> None:
    text = f"{HEAD}@@ -1,2 +1,2 @@\n {line}\n-b\n+c\n"
    assert applied(folder, text, files={NAME: f"{line}\nb\n".encode()})[NAME] == f"{line}\nc\n".encode()


def test_carriage_returns_must_agree(folder: Path) -> None:
    files = {NAME: OLD.replace("\n", "\r\n").encode()}
    refusal(folder, GOOD, files=files)
    body = GOOD.removeprefix(HEAD).split("\n", 1)
    windows = f"{HEAD}{body[0]}\n" + body[1].replace("\n", "\r\n")
    assert b"new 3\r\nmore\r\n" in applied(folder, windows, files=files)[NAME]


def test_an_empty_context_line_may_have_lost_its_blank(folder: Path) -> None:
    text = HEAD + "@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n\n"
    assert applied(folder, text, files={NAME: b"a\n\nb\n"})[NAME] == b"a\n\nc\n"


# --- strictness ------------------------------------------------------------------------------------------


def test_a_line_that_differs_is_named(folder: Path) -> None:
    message = refusal(folder, GOOD.replace(" line 4", " line four"))
    assert f"0.patch: {NAME}, hunk 1 does not apply: line 4 is 'line 4', the patch expects 'line four'" in message


def test_the_hunk_that_fails_is_numbered(folder: Path) -> None:
    assert "hunk 2" in refusal(folder, GOOD + "@@ -10,2 +11,1 @@\n line 10\n-line 12\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD.replace("-2,3 +2,4", "-3,3 +3,4"), "does not apply"),
        (GOOD.replace("+2,4", "+9,4"), "line numbers"),
        (GOOD.replace("-2,3 +2,4", "-20,3 +20,4"), "line 20 is 'line 20'"),
        (HEAD + "@@ -20,2 +20,3 @@\n line 20\n+x\n line 21\n", "line 21 is '<end of file>'"),
        (HEAD + "@@ -30,0 +31 @@\n+x\n", "has 20 lines, the patch expects 30"),
        (GOOD + "@@ -2 +3 @@\n-line 2\n+x\n", "line numbers"),
        (GOOD[:-8], "counts other lines"),
        (GOOD + " line 5\n", "belongs to no hunk"),
        (GOOD + "+line 5\n", "belongs to no hunk"),
        (GOOD + "-line 5\n", "belongs to no hunk"),
        (GOOD.replace("-2,3", "-2,9"), "counts other lines"),
        (GOOD.replace("-2,3", "-2,2"), "counts other lines"),
        (GOOD.removeprefix(HEAD), "not the head of a hunk"),
        (HEAD + "@@ -1 +1 @@\n-line 1\n+line 1\n", "does not change"),
        (HEAD, "no hunk"),
        ("", "empty"),
        ("just words\n", "empty"),
        (f"diff --git a/{NAME} b/{NAME}\nold mode 100644\nnew mode 100755\n", "line 2: 'old mode 100644'"),
        (f"diff --git a/{NAME} b/{NAME}\nold mode 100644\nnew mode 100755\n{GOOD}", "line 2: 'old mode 100644'"),
        (f"diff --git a/{NAME} b/{NAME}\nBinary files a/{NAME} and b/{NAME} differ\n", "line 2: 'Binary files"),
        (f"diff --git a/{NAME} b/{NAME}\nrename from {NAME}\nrename to {NAME}\n{GOOD}", "line 2: 'rename from"),
        (f"diff --git a/{NAME} b/{NAME}\ncopy from {NAME}\ncopy to {NAME}\n{GOOD}", "line 2: 'copy from"),
        (f"diff --git a/{NAME} b/{NAME}\nGIT binary patch\nliteral 1\nIcmZ\n", "line 2: 'GIT binary patch'"),
        (f"diff --git a/{NAME} b/{NAME}\nnew file mode 100644\n{GOOD}", "line 2: 'new file mode"),
        (f"diff --git a/{NAME} b/{NAME}\ndeleted file mode 100644\n{GOOD}", "line 2: 'deleted file mode"),
        (f"diff --git a/{NAME} b/tensorflow/b.py\n{GOOD}", "is about two files"),
        (f"diff --git a/tensorflow/b.py b/tensorflow/b.py\n{GOOD}", "is about another file"),
        (f"diff --git a/{NAME} b/{NAME}\ndiff --git a/{NAME} b/{NAME}\n{GOOD}", "before it has no hunk"),
        (GOOD + f"diff --git a/{NAME} b/{NAME}\n", "before it has no hunk"),
        (GOOD + "Only in b/tensorflow: c.py\n", "'Only in b/tensorflow: c.py'"),
        (GOOD + "line 5\n", "line 9: 'line 5' belongs to no hunk"),
        (GOOD + "\tline 5\n", "belongs to no hunk"),
        (GOOD + "--- comment\n", "belong together"),
        (GOOD + "+++ comment\n", "belong together"),
        (GOOD + "-- \n", "belongs to no hunk"),
        (GOOD + "-- \n2.43.0\n-line 5\n", "belongs to no hunk"),
        (GOOD + GOOD, "two parts about tensorflow/a.py"),
        (GOOD.replace("more", "mo\0re"), "line 7: a NUL character"),
        ("\0" + GOOD, "line 1: a NUL character"),
        (GOOD.replace("-2,3", "-\uff12,3"), "not the head of a hunk"),
        (GOOD.replace("-2,3", f"-2,{'9' * 5000}"), "not the head of a hunk"),
        (GOOD.replace("\n", "\r\n"), "line 1: a carriage return ends the line"),
        (GOOD.replace("line 4\n", "line 4\r\n"), r"line 4 is 'line 4', the patch expects 'line 4\r'"),
        ("--- /dev/null\n+++ b/tensorflow/new.py\n@@ -0,0 +1 @@\n+x\n", "not a change of one file"),
        (f"--- a/{NAME}\n+++ /dev/null\n@@ -1 +0,0 @@\n-line 1\n", "not a change of one file"),
        (GOOD.replace(f"b/{NAME}", "b/tensorflow/b.py"), "not a change of one file"),
        (GOOD.replace("a/tensorflow", "tensorflow").replace("b/tensorflow", "tensorflow"), "not a change of one file"),
        (GOOD.replace(NAME, "keras/a.py"), "not a Python file under tensorflow/"),
        (GOOD.replace(NAME, "tensorflow/../a.py"), "not a Python file under tensorflow/"),
        (GOOD.replace(NAME, "/tensorflow/a.py"), "not a Python file under tensorflow/"),
        (GOOD.replace(NAME, "tensorflow/a.so"), "not a Python file under tensorflow/"),
        (GOOD.replace(NAME, "tensorflow/b.py"), "not in the official wheel"),
    ],
)
def test_anything_but_an_exact_change_is_refused(folder: Path, text: str, reason: str) -> None:
    message = refusal(folder, text)
    assert any(one in message for one in reason.split("|")), message


def test_only_patches_may_stand_in_the_folder(folder: Path) -> None:
    (folder / "label.diff").write_text(GOOD)
    assert "is not a patch" in refusal(folder)


def test_a_patch_must_be_text(folder: Path) -> None:
    (folder / "a.patch").write_bytes(GOOD.encode() + b"\xff\n")
    assert "is not UTF-8 text" in refusal(folder)
    (folder / "a.patch").write_bytes(GOOD.encode("utf-16"))
    assert "is not UTF-8 text" in refusal(folder)


def test_the_patched_file_must_be_text(folder: Path) -> None:
    assert "not UTF-8" in refusal(folder, GOOD, files={NAME: b"\xff" + OLD.encode()})


def test_shipped_patches_are_well_formed() -> None:
    for patch in sorted((CONFIG_DIR / "patches").rglob("*")):
        if patch.is_file():
            changes = patches._parse(patch)
            names = [change.target.removeprefix("b/") for change in changes]
            assert [patches._member(change, str(patch), names, to_sources=False) for change in changes] == names


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "2.20.0").write_text(GOOD)
    with pytest.raises(PatchError, match="is not a folder"):
        patches.apply_folder(tmp_path / "2.20.0", names=(), read=bytes, version="1")


def test_no_mutated_patch_loses_a_changed_line(folder: Path) -> None:
    """Each mutant is refused in words, or all its changed lines are in the result (and all removed ones are not)."""
    words = random.Random(12)  # noqa: S311 -- the same patches each time
    whole = f"words\n\ndiff --git a/{NAME} b/{NAME}\nindex 12..34 100644\n" + GOOD + "@@ -9 +10 @@\n-line 9\n+n\n"
    accepted = 0
    for _ in range(2000):
        lines = whole.splitlines(keepends=True)
        for _ in range(words.randint(1, 3)):
            at = words.randint(0, len(lines))
            line = words.choice(
                [*lines, "rename from a\n", "\n", "x\n", "-\n", "+y\n", "-- \n", "\\ No newline\n", "\0"]
            )
            lines[at : at + words.randint(0, 1)] = words.choice([[line], [line], []])
        try:
            new = applied(folder, "".join(lines))[NAME].decode()
        except PatchError:
            continue
        accepted += 1
        body = lines[next(i for i, one in enumerate(lines) if one.startswith("+++")) + 1 :]
        added = [line[1:] for line in body if line[0] == "+"]
        removed = [line[1:] for line in body if line[0] == "-" and line != "-- \n"]
        assert len(new.splitlines()) == 20 + len(added) - len(removed), "".join(lines)
        assert all(line.rstrip("\n") in new for line in added)
    assert 20 < accepted < 1500
