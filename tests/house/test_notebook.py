"""The notebook is valid, holds no outputs, says the commands that the index prints, and uses ops that there are."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

import pagedata
from imitation import execution, notebook
from tfwheel.colab import runtimes
from tfwheel.config import build_config, plan
from tfwheel.config.paths import CONFIG_DIR, ROOT, Paths
from tfwheel.index import install_files, local_index

if TYPE_CHECKING:
    from pathlib import Path

TEXT = notebook.NOTEBOOK.read_text(encoding="utf-8")
CELLS: list[dict[str, Any]] = json.loads(TEXT)["cells"]
SOURCES = {cell["id"]: "".join(cell["source"]) for cell in CELLS}
CODE = [cell["id"] for cell in CELLS if cell["cell_type"] == "code"]
OPS = ROOT / "build_config" / "ops" / "tfwheel_ops" / "__init__.py"
CONFIG = build_config.load()
RUNTIMES = runtimes.load(CONFIG_DIR / "colab")


def python(source: str) -> str:
    """The Python of a cell, with what IPython alone understands left out."""
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)


def parameters() -> dict[str, str]:
    """What the notebook has for the user to change."""
    statements = ast.parse(SOURCES["parameters"]).body
    return {
        ast.unparse(one.targets[0]): ast.literal_eval(one.value) for one in statements if isinstance(one, ast.Assign)
    }


def commands(start: str) -> list[str]:
    """The lines of the notebook that begin so, with the parameters in their places."""
    lines = [line.strip() for source in SOURCES.values() for line in source.splitlines()]
    return [line.format(**parameters()) for line in lines if line.startswith(start)]


def test_it_is_a_valid_notebook() -> None:
    nbformat.validate(nbformat.reads(TEXT, as_version=4))
    assert len(CODE) > 6


@pytest.mark.parametrize("name", CODE)
def test_a_cell_is_python(name: str) -> None:
    ast.parse(python(SOURCES[name]))


def test_it_holds_no_outputs_and_no_place_of_one_machine() -> None:
    assert [cell["id"] for cell in CELLS if cell.get("outputs") or cell.get("execution_count")] == []
    assert not re.search(r"(?<![\w.])/(?:root|home|tmp|work|content)/|127\.0\.0\.1|localhost", TEXT)


def test_it_is_filled_in_for_this_configuration() -> None:
    assert notebook.filled(TEXT, CONFIG, RUNTIMES[0]) == TEXT, "run `nox -s notebook -- --fill`"


def test_filling_it_in_says_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "colab.ipynb"
    copy.write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr(notebook, "NOTEBOOK", copy)
    execution.fill(Paths.here())
    given = parameters()
    said = capsys.readouterr().err
    assert f"wrote index/colab.ipynb for the runtime {RUNTIMES[0].name}: INDEX = " in said
    assert f'LINE = "{given["LINE"]}", VERSION = "{given["VERSION"]}"' in said
    assert copy.read_text(encoding="utf-8") == TEXT


def test_its_command_is_the_one_that_the_index_prints() -> None:
    given = parameters()
    entry = pagedata.entry(given["VERSION"], "313", given["LINE"])
    (line,) = commands("%pip install --extra")
    assert line.removeprefix("%") == local_index.install_command(entry, given["INDEX"])
    files = install_files.render([entry], [], runtimes=(), base_url=given["INDEX"])
    printed = files[f"install/{entry.line}/{entry.version}/commands.txt"].decode().splitlines()
    assert line.removeprefix("%") in printed


def test_its_wheel_is_for_the_newest_runtime_and_its_lines_are_those_that_are_built_for_it() -> None:
    newest, given = RUNTIMES[0], parameters()
    found = {
        one.line.name: one.version
        for one in plan.targets(CONFIG)
        if (one.tensorflow, one.python) == (newest.tensorflow, newest.python_minor) and one.builder != "source"
    }
    assert found[given["LINE"]] == given["VERSION"]
    choices = re.search(r"LINE = .* @param (\[.*\])", SOURCES["parameters"])
    assert choices
    assert set(json.loads(choices[1])) == found.keys()


def test_the_way_back_is_to_the_version_that_the_newest_runtime_has() -> None:
    assert commands("%pip uninstall") == ["%pip uninstall -y tensorflow"]
    assert commands('%pip install "') == [f'%pip install "tensorflow=={RUNTIMES[0].tensorflow}"']


def test_the_doctor_is_asked_as_the_documents_say() -> None:
    asked = commands("!curl")
    index = parameters()["INDEX"]
    assert len(asked) == 3
    assert set(asked) == {f"!curl -fsSL {index}doctor.py | python3 - --index {index}"}
    assert f"!curl -fsSL {index}doctor.py | python3 -" in (ROOT / "index/docs/doctor.md").read_text(encoding="utf-8")


def test_every_op_that_it_uses_is_in_the_package() -> None:
    trees = [ast.parse(python(SOURCES[name])) for name in CODE]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in nodes if ast.unparse(node.value) == "tfwheel_ops"}
    (exported,) = re.findall(r"^__all__ = (\[.*\])$", OPS.read_text(encoding="utf-8"), re.MULTILINE)
    offered = set(ast.literal_eval(exported))
    assert used <= offered
    assert used >= offered - {"__version__", "raw_ops"}  # a new op belongs into the notebook, too


def test_every_cell_with_a_promise_is_there() -> None:
    assert {*notebook.PROMISES, *notebook.PICTURES} <= SOURCES.keys()
