"""A tree in a private repository: fetched with the credentials that git has, which are then nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import bazelworld
import githttp
import opsworld
from tfwheel.source import trees
from tfwheel.source.errors import CheckoutError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.source.order import SourceOrder

SECRET = "of-this-test"  # noqa: S105 -- a password of nobody
PATCH = """\
--- a/tensorflow/op.h
+++ b/tensorflow/op.h
@@ -1,1 +1,1 @@
-#define FROM_THE_HEADER 1
+#define FROM_THE_HEADER 2
"""


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceOrder]:
    """What is to be built from a commit of a private repository, with a patch; git knows no password yet."""
    commit = opsworld.committed(bazelworld.make_tree(tmp_path / "served" / "tensorflow"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "gitconfig").write_text("[safe]\n\tdirectory = *\n")
    bazelworld.write(tmp_path / "settings", {"tree-patches/op.patch": PATCH})
    with githttp.served(tmp_path / "served", user="me", password=SECRET) as address:
        source = f'git = "{address}/tensorflow"\ncommit = "{commit}"\npatches = "tree-patches"'
        paths = bazelworld.make_settings(tmp_path, source)
        yield bazelworld.order_of(paths)


def test_gits_own_credentials_open_a_private_repository_and_are_nowhere_afterwards(
    private: SourceOrder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    host = (private.entry.git or "").removeprefix("http://").partition("/")[0]
    (tmp_path / "credentials").write_text(f"http://me:{SECRET}@{host}\n")
    with (tmp_path / "gitconfig").open("a") as stream:
        stream.write(f"[credential]\n\thelper = store --file={tmp_path / 'credentials'}\n")
    tree = trees.bring(private, tmp_path / "cache", tmp_path / "work")
    assert (tree / "tensorflow/op.h").read_text() == "#define FROM_THE_HEADER 2\n"
    written = [path for place in ("cache", "work") for path in (tmp_path / place).rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    said = capfd.readouterr()
    assert SECRET not in said.out + said.err
    assert SECRET not in trees.described(private)


def test_without_credentials_nobody_is_asked_and_nothing_is_kept(private: SourceOrder, tmp_path: Path) -> None:
    with pytest.raises(
        CheckoutError, match=r"git cannot fetch [0-9a-f]{40} of http://127\.0\.0\.1:\d+/tensorflow"
    ) as it:
        trees.bring(private, tmp_path / "cache", tmp_path / "work")
    assert "terminal prompts disabled" in it.value.message
    assert "the credentials that git has for it" in it.value.remedy
    assert not list((tmp_path / "cache").rglob("op.h"))


def test_what_ssh_says_of_a_failure_is_shown(private: SourceOrder, tmp_path: Path) -> None:
    entry = private.entry.model_copy(update={"git": "ssh://git@nowhere.invalid/tensorflow"})
    with pytest.raises(CheckoutError, match=r"(ssh: |nowhere\.invalid: ).*; fatal: "):
        trees.bring(replace(private, entry=entry), tmp_path / "cache", tmp_path / "work")
