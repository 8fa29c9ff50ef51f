"""Every command of the documents that can run here does: through the doors that its nox session enters."""

from __future__ import annotations

import shlex
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

import docpages
import needs
from tfwheel.config.paths import ROOT
from tfwheel.system.processes import run
from tfwheel.wheel import patches

if TYPE_CHECKING:
    from pathlib import Path

# Doors that change nothing, or with which first word.
HARMLESS = {"plan_matrix": None, "check_fit": None, "edit_ledger": "check"}

RUN = [
    block
    for path in docpages.DOCUMENTS
    for block in docpages.blocks(path)
    if block.language in docpages.SHELLS and not block.reason
]


def command(line: str) -> list[str]:
    """A line of a document as what nox would start, without an environment of nox's own."""
    words = shlex.split(line, comments=True)
    match words:
        case ["nox", "-l"]:
            return [sys.executable, "-m", "nox", "-l"]
        case ["nox", "-s", session, *rest]:
            door, *given = docpages.sessions()[session]
            words = [*given, *(word for word in rest if word != "--")]
            if door in HARMLESS and HARMLESS[door] in {None, *words[:1]}:
                return [sys.executable, f"scripts/{door}.py", *words]
    message = f"no test can run `{line}`: say `{docpages.NOT_RUN} REASON` after the language of its block"
    raise ValueError(message)


@pytest.mark.parametrize("line", sorted({line for block in RUN for line in block.text.splitlines()}))
def test_a_command_of_the_documents_runs_and_prints_something(line: str) -> None:
    assert run(command(line), cwd=ROOT).strip()


# --- blocks that need something that tests can make ------------------------------------------------------


def block(document: str, word: str) -> str:
    """The only block of a document that has this word."""
    (found,) = (one.text for one in docpages.blocks(ROOT / document) if word in one.text)
    return found


def test_a_patch_is_made_as_the_customise_page_says(tmp_path: Path) -> None:
    needs.programs("unzip", "git")
    file = "tensorflow/python/util/deprecation.py"
    base = tmp_path / "home/.cache/tfwheel/bases/0123/tensorflow-2.20.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    base.parent.mkdir(parents=True)
    with zipfile.ZipFile(base, "w") as archive:
        archive.writestr(file, "a = 1\nb = 2\n")
        archive.writestr("tensorflow/other.py", "")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/2/3/ "$1"\n')
    editor.chmod(0o755)
    script = block("index/docs/customise.md", "unzip")
    for _ in range(2):  # also where it was done before; git ends with 1 where there is a difference
        run(
            ["sh", "-c", f"{script}[ $? = 1 ]"],
            cwd=tmp_path,
            env={"HOME": str(tmp_path / "home"), "EDITOR": str(editor)},
        )
    folder = tmp_path / "build_config/patches/2.20.0"
    assert [path.name for path in folder.iterdir()] == ["my-change.patch"]
    with zipfile.ZipFile(base) as archive:
        changed = patches.apply_folder(folder, names={file}, read=archive.read, version="2.20.0+cu125.1")
    assert changed == {file: b"a = 1\nb = 3\n"}


def test_the_merge_driver_of_the_documents_is_the_one_of_gitattributes_and_enters_the_ledger() -> None:
    line = block("index/docs/package-index.md", "merge.ledger.driver").strip()
    assert f"#   {line}\n" in (ROOT / ".gitattributes").read_text(encoding="utf-8")
    driver = shlex.split(line)[-1]
    assert driver == "nox -s ledger -- merge-driver %O %A %B"
    assert docpages.sessions()["ledger"] == ["edit_ledger"]


def test_there_are_commands_to_run() -> None:
    assert len({block.where.partition(":")[0] for block in RUN}) > 3


@pytest.mark.parametrize("line", ["make all", "nox -s publish", "nox -s ledger -- yank x", "python x.py"])
def test_a_command_that_may_change_something_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not-run: REASON"):
        command(line)
