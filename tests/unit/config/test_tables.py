"""The matrix as rows and as a table, held against a list written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixedconfig import CONFIG
from tfwheel.config import build_config, tables
from tfwheel.config.errors import SelectionError
from tfwheel.config.paths import CONFIG_DIR, ROOT

# Written by hand, not derived: the wheels that the fixed configuration promises.
PROMISED = [
    "tf2.18.1-cp311-cu12",
    "tf2.20.0-cp311-cpu",
    "tf2.20.0-cp311-cu12",
    "tf2.20.0-cp312-cpu",
    "tf2.20.0-cp312-cu12",
    "tf2.20.0-cp312-cu12t4",
    "tf2.20.0-cp313-cpu",
    "tf2.20.0-cp313-cu12",
    "tf2.20.0-cp313-cu12t4",
    "tf2.21.0-cp312-cu12",
    "tf2.21.0-cp313-cu12",
]


def test_the_matrix_is_the_promised_one() -> None:
    assert [row["id"] for row in tables.rows(CONFIG)] == PROMISED


def test_a_row_says_what_a_reader_needs() -> None:
    row = next(row for row in tables.rows(CONFIG) if row["id"] == "tf2.20.0-cp312-cu12")
    assert row == {
        "id": "tf2.20.0-cp312-cu12",
        "tensorflow": "2.20.0",
        "python": "3.12",
        "line": "cu12",
        "cuda": "12.5.1",
        "gpu_code": "sm_75, sm_80, sm_89, sm_90, compute_90",
        "version": "2.20.0+cu125.2",
        "builder": "overlay",
        "default": True,
        "requires": [],
        "locked": True,
    }


def test_what_has_no_column_stands_below_the_table() -> None:
    first, *others = CONFIG.releases
    changed = first.model_copy(update={"requires": ["protobuf>=5.28,<6", "numpy<2"], "pythons": ["3.12"]})
    bases = tuple(base for base in CONFIG.bases if (base.version, base.python) != ("2.21.0", "3.13"))
    config = replace(CONFIG, releases=(changed, *others), bases=bases)
    table, *notes = tables.text(config, kind="table").split("\n\n")
    assert table == tables.table(tables.rows(config))
    assert notes == [
        "Requires protobuf>=5.28,<6, numpy<2: tf2.20.0-cp312-cpu, tf2.20.0-cp312-cu12",
        "Not locked yet, `nox -s update-pins` does that: tf2.21.0-cp313-cu12",
    ]
    assert tables.text(CONFIG, kind="table") == tables.table(tables.rows(CONFIG))


def test_what_cannot_be_built_yet_does_not_hide_what_gpus_run_of_the_rest() -> None:
    bases = tuple(base for base in CONFIG.bases if base.version != "2.20.0" or base.python != "3.13")
    shown, note = tables.text(replace(CONFIG, bases=bases), kind="gpus").split("\n\n")
    assert shown == tables.text(CONFIG, kind="gpus")
    assert note.startswith("Not locked yet, `nox -s update-pins` does that: tf2.20.0-cp313-cpu, tf2.20.0-cp313-cu12,")
    first = CONFIG.releases[0].model_copy(update={"lines": ["cu12", "cu13"]})
    config = replace(CONFIG, releases=(first, *CONFIG.releases[1:]), directory=CONFIG_DIR)
    fault = "TensorFlow 2.20 is not known to build with CUDA 13.0.2"
    ids = ", ".join(f"tf2.20.0-cp3{python}-cu13" for python in (11, 12, 13))
    assert f"\n- {ids}: {fault}" in tables.text(config, kind="gpus")


def test_wheels_without_gpu_code_have_no_table_of_gpus() -> None:
    assert tables.text(CONFIG, kind="gpus", line="cpu") == "None of these wheels has GPU code."


def test_the_default_set_of_a_line_is_one_tensorflow() -> None:
    assert {row["tensorflow"] for row in tables.rows(CONFIG, line="cu12", default=True)} == {"2.20.0"}


def test_a_misspelt_line_gets_the_nearest_one() -> None:
    with pytest.raises(SelectionError, match="did you mean `cu12`"):
        tables.rows(CONFIG, line="cu1")


def test_the_table_is_aligned_markdown() -> None:
    lines = tables.table(tables.rows(CONFIG, line="cpu")).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].startswith("| TensorFlow | Python |")
    assert len(lines) == 2 + 3


def test_the_readme_shows_the_matrix_as_it_is() -> None:
    config, (readme, page) = build_config.load(), (ROOT / "README.md", ROOT / "index" / "docs" / "build.md")
    paste = "paste the output of `nox -s plan{}` into {}"
    assert tables.table(tables.rows(config)) in page.read_text(encoding="utf-8"), paste.format("", page.name)
    default = tables.table(tables.rows(config, default=True))
    assert default in readme.read_text(encoding="utf-8"), paste.format(" -- --default", readme.name)


SHOWN = [
    (one, one) for one in ("2.20.0+cu125.1", "tf_keras 2.20.1 requires tensorflow<2.21,>=2.20.", "x[extra]~=1", "é")
]
SHOWN += [
    ("<img src=x>", "`<img src=x>`"),
    ("@octocat", "`@octocat`"),
    ("a`b`", "`a'b'`"),
    ("a\x1b[31m\nb", "a?[31m?b"),
]
SHOWN += [("[a](b)", "`[a](b)`"), ("#12", "`#12`"), ("https://example.org", "`https://example.org`"), ("_a_", "`_a_`")]


@pytest.mark.parametrize(("text", "shown"), SHOWN)
def test_what_others_wrote_stands_in_markdown_as_text(text: str, shown: str) -> None:
    assert tables.shown(text) == shown


def test_a_bar_splits_no_cell() -> None:
    assert (tables.shown("a|b"), tables.shown("a|b", in_table=True)) == ("`a|b`", "`a\\|b`")
