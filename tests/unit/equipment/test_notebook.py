"""The outputs of an executed notebook are judged, and the notebook is filled in for a configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from fixedconfig import CONFIG
from imitation import notebook
from imitation.errors import NoTargetError, NotebookError
from tfwheel.colab import runtimes
from tfwheel.config.paths import CONFIG_DIR

VERSION = "2.20.0+cpu.3"
GOOD = {
    "install": f"Collecting tensorflow=={VERSION}\nSuccessfully installed tensorflow-{VERSION}\n",
    "installed": f"tensorflow {VERSION} is installed. Nothing needs a restart.\n",
    "running": f"build: {VERSION}\nThere is no GPU here\na product of matrices was computed on CPU:0\n",
    "ops": "rms_norm forward float32 error 1e-07 of 5e-05  ok\n12 of 12 comparisons hold on CPU:0\n",
    "model": "loss with the fused ops 0.4 -> 0.1, with TensorFlow's 0.4 -> 0.1\n",
    "speed": "rms_norm on CPU:0, [16] rows: TensorFlow's ops take 1.1 times as long as\nswiglu on CPU:0, [16] rows\n",
}
PICTURE = {"output_type": "display_data", "data": {"image/png": notebook.PNG + "AA", "text/plain": "<Figure>"}}


def executed(**changes: str) -> dict[str, Any]:
    """An executed notebook with these texts."""
    cells = []
    for name, text in (GOOD | changes).items():
        pictures = [PICTURE] if name in notebook.PICTURES else []
        cells.append({"id": name, "source": [], "outputs": [{"output_type": "stream", "text": [text]}, *pictures]})
    return {"cells": cells}


def test_a_notebook_that_kept_its_promises_passes() -> None:
    notebook.check(executed(), VERSION)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("install", "Requirement already satisfied: tensorflow\n"),
        ("install", GOOD["install"] + "ERROR: pip's dependency resolver does not currently take into account\n"),
        ("install", "Successfully installed tensorflow-2.20.0+cpu.30\n"),
        ("installed", "This is not 2.20.0+cpu.3: installed is 2.20.0. The doctor says why:\n"),
        ("running", f"build: {VERSION}\nTraceback (most recent call last)\n"),
        ("running", "build: 2.20.0\na product of matrices was computed on CPU:0\n"),
        ("ops", "11 of 12 comparisons hold on CPU:0\n"),
        ("ops", "0 of 12 comparisons hold on CPU:0\n"),
        ("speed", ""),
    ],
)
def test_a_broken_promise_is_named_by_its_cell(name: str, text: str) -> None:
    with pytest.raises(NotebookError, match=f"the cell `{name}` of the notebook printed"):
        notebook.check(executed(**{name: text}), VERSION)


@pytest.mark.parametrize("pictures", [[], [PICTURE, PICTURE], [{"data": {"image/png": "R0lGOD"}}]])
def test_a_cell_that_must_show_a_picture_shows_one(pictures: list[dict[str, Any]]) -> None:
    found = executed()
    cell = notebook.cell_of(found, "speed")
    cell["outputs"] = [cell["outputs"][0], *pictures]
    with pytest.raises(NotebookError, match="where it must show one"):
        notebook.check(found, VERSION)


def test_an_error_of_a_cell_is_part_of_its_text() -> None:
    lines = ["\x1b[31mTraceback\x1b[0m (most recent call last)", "NameError: x"]
    cell = {"outputs": [{"output_type": "error", "traceback": lines}]}
    assert notebook.text_of(cell) == "Traceback (most recent call last)\nNameError: x\n"


def test_a_version_that_is_not_there_must_be_said_and_the_doctor_answer_where_there_is_one() -> None:
    missing = f"ERROR: No matching distribution found for tensorflow=={VERSION}\n"
    said = f"This is not {VERSION}: installed is 2.20.0. The doctor says why:\n"
    unanswered = f"{said}curl: (22) The requested URL returned error: 404\n"
    notebook.check_failure(executed(install=missing, installed=said + "Install x\n"), VERSION, advice="Install x")
    notebook.check_failure(executed(install=missing, installed=unanswered), VERSION, advice="")
    with pytest.raises(NotebookError, match="the doctor does not say `Install x` in the notebook"):
        notebook.check_failure(executed(install=missing, installed=unanswered), VERSION, advice="Install x")
    for changes in ({"install": missing}, {"installed": said}):
        with pytest.raises(NotebookError, match="does not say that"):
            notebook.check_failure(executed(**changes), VERSION, advice="")


def test_it_is_filled_in_with_repository_and_url_of_the_index_and_loses_its_outputs() -> None:
    newest = runtimes.load(CONFIG_DIR / "colab")[0]
    cells = [
        {"id": name, "cell_type": "code", "source": ["x"], "outputs": [{"output_type": "stream"}], "execution_count": 3}
        for name in GOOD
    ]
    cells += [{"id": name, "cell_type": "markdown", "source": []} for name in ("badge", "parameters")]
    text = json.dumps({"cells": cells})
    index = CONFIG.index.model_copy(update={"base_url": "https://a.example/x/", "repository": "some/body"})
    configured = notebook.filled(text, replace(CONFIG, index=index), newest)
    assert 'INDEX = \\"https://a.example/x/\\"' in configured
    assert "/github/some/body/blob/main/index/colab.ipynb)" in configured
    assert "OWNER/REPO" not in configured
    cell = notebook.cell_of(notebook.read(configured), "ops")
    assert (cell["outputs"], cell["execution_count"]) == ([], None)
    bare = notebook.filled(
        text, replace(CONFIG, index=index.model_copy(update={"base_url": "", "repository": ""})), newest
    )
    assert "OWNER/REPO stands for the repository" in bare
    assert 'INDEX = \\"https://example.org/index/\\"' in bare
    assert notebook.filled(bare, replace(CONFIG, index=index), newest) == configured
    with pytest.raises(NoTargetError, match=f"no target is for the runtime {newest.name}: TensorFlow 9.0.0, Python "):
        notebook.filled(bare, CONFIG, replace(newest, pins={"tensorflow": "9.0.0"}))


WITHOUT_TYPE = '{"cells": [{"id": "badge", "source": []}]}'
DEEP = "[" * 100_000
ODD_OUTPUT = '{"cells": [{"id": "badge", "cell_type": "code", "source": [], "outputs": [1]}]}'


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [{}]}', '{"cells": 3}', WITHOUT_TYPE, ODD_OUTPUT, DEEP])
def test_what_is_no_notebook_is_said_to_be_none(text: str) -> None:
    with pytest.raises(NotebookError, match="is no notebook"):
        notebook.read(text)


def test_a_missing_cell_is_named() -> None:
    with pytest.raises(NotebookError, match="has no cell `badge`"):
        notebook.cell_of({"cells": []}, "badge")
