"""Patches apply to the very lines they name, or say which line is another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.config.paths import CONFIG_DIR
from tfwheel.wheel import patches
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


def test_a_later_patch_sees_what_an_earlier_one_wrote(folder: Path) -> None:
    later = HEAD + "@@ -3 +3 @@\n-new 3\n+newer\n"
    assert b"newer\nmore\n" in applied(folder, GOOD, later)[NAME]
    assert "line 3 is 'line 3', the patch expects 'new 3'" in refusal(folder, later, GOOD)


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
        (HEAD + "@@ -30,0 +31 @@\n+x\n", "line numbers"),
        (GOOD + "@@ -2 +3 @@\n-line 2\n+x\n", "line numbers"),
        (GOOD[:-8], "shorter"),
        (GOOD + " line 5\n", "belongs to no hunk"),
        (GOOD + "+line 5\n", "belongs to no hunk"),
        (GOOD + "-line 5\n", "belongs to no hunk"),
        (GOOD.replace("-2,3", "-2,9"), "shorter|longer"),
        (GOOD.replace("-2,3", "-2,2"), "longer|belongs to no hunk"),
        (GOOD.removeprefix(HEAD), "not a unified diff"),
        (HEAD + "@@ -1 +1 @@\n-line 1\n+line 1\n", "does not change"),
        (HEAD, "no hunk"),
        ("", "empty"),
        ("just words\n", "empty"),
        (f"diff --git a/{NAME} b/{NAME}\nold mode 100644\nnew mode 100755\n", "no hunk"),
        (f"diff --git a/{NAME} b/{NAME}\nold mode 100644\nnew mode 100755\n{GOOD}", "more than text"),
        (f"diff --git a/{NAME} b/{NAME}\nBinary files a/{NAME} and b/{NAME} differ\n", "no hunk"),
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
    assert "not a unified diff" in refusal(folder)


def test_the_patched_file_must_be_text(folder: Path) -> None:
    assert "not UTF-8" in refusal(folder, GOOD, files={NAME: b"\xff" + OLD.encode()})


def test_shipped_patches_are_well_formed() -> None:
    for patch in sorted((CONFIG_DIR / "patches").rglob("*")):
        if patch.is_file():
            changes = patches._parse(patch)
            names = [f"tensorflow/{change.path.removeprefix('tensorflow/')}" for change in changes]
            assert [patches._member(change, str(patch), names) for change in changes] == names
