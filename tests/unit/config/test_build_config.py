"""The configuration, read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smallconfig import LINES, RETARGET, load, refusal
from tfwheel.config import build_config, schema
from tfwheel.config.schema import Retarget

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_is_read(tmp_path: Path) -> None:
    read = load(tmp_path)
    (release,), (exclusion,), (base,) = read.releases, read.exclusions, read.bases
    assert (release.tensorflow, release.pythons, release.default) == ("2.20.0", ["3.11", "3.12"], True)
    assert exclusion.reason == "nobody asked for it"
    assert read.lines["cu12"].gpu_code == ("sm_75", "sm_80", "compute_90")
    assert read.lines["cpu"].gpu_code == ()
    assert base.runpaths == {"tensorflow/a.so": "$ORIGIN"}
    assert base.archs["tensorflow/libtensorflow_cc.so.2"] == ("sm_80", "compute_90")
    assert read.repair.exclude == ("libcuda*",)
    assert read.directory == tmp_path


def test_the_configuration_of_this_project_is_sound() -> None:
    read = build_config.load()
    assert {"cpu", "cu12", "cu13"} <= read.lines.keys()


def test_the_lock_may_not_be_there_yet(tmp_path: Path) -> None:
    assert load(tmp_path, bases=None).bases == ()


def test_the_index_has_no_address_and_no_free_names_unless_they_are_given(tmp_path: Path) -> None:
    assert load(tmp_path).index == schema.IndexSettings(base_url="", acknowledge=[])
    text = 'base_url = "https://example.org/index/"\n[[acknowledge]]\nname = "our-ops"\nreason = "only by exact pin"\n'
    found = load(tmp_path, index=text).index
    assert (found.base_url, found.acknowledge[0].name) == ("https://example.org/index/", "our-ops")


def test_what_becomes_of_official_gpu_code_is_read(tmp_path: Path) -> None:
    read = load(tmp_path, lines=RETARGET).lines
    assert read["cpu"].retarget is None
    assert read["cu12"].retarget == Retarget(
        archs=("70", "80", "120"),
        generated=("120", "70"),
        ptx="90",
        tools=("nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.8.90"),
        xla="12.8",
    )


@pytest.mark.parametrize("name", ["docs", "install"])
def test_a_line_named_as_a_folder_of_the_site_is_refused(tmp_path: Path, name: str) -> None:
    named = refusal(tmp_path, lines=LINES.replace("[cpu]", f"[{name}]"))
    assert named == f"lines.toml: `{name}` cannot name a line: the site has a folder of that name"
