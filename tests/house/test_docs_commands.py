"""Every command of the documents that can run here does: through the doors that its nox session enters."""

from __future__ import annotations

import shlex
import sys

import pytest

import docpages
from tfwheel.config.paths import ROOT
from tfwheel.system.processes import run

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


def test_there_are_commands_to_run() -> None:
    assert len({block.where.partition(":")[0] for block in RUN}) > 3


@pytest.mark.parametrize("line", ["make all", "nox -s publish", "nox -s ledger -- yank x", "python x.py"])
def test_a_command_that_may_change_something_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not-run: REASON"):
        command(line)
