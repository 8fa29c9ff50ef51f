"""Real pip looks up versions and requirements, in a folder of stub wheels that stands for the package index."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakewheels
import stubworld
from smallruntime import RUNTIME
from tfwheel.colab import drift, snapshots, survey
from tfwheel.colab.distributions import Distributions
from tfwheel.colab.fit_table import Judge
from tfwheel.colab.runtimes import Runtime, of_snapshot
from tfwheel.config import build_config
from tfwheel.config.paths import ROOT
from tfwheel.system import pip_queries
from tfwheel.system.errors import DownloadError

if TYPE_CHECKING:
    from pathlib import Path

MODULE = b"x.ValidateProtobufRuntimeVersion(x.Domain.PUBLIC, 5, 28, 3, '', 'x')"
SURVEYED = 'tensorflow = ["tf-keras"]\nprotobuf = ["grpcio-status"]\n'
INSTALLED = Runtime(
    name="r",
    python="3.12.13",
    pins={"tensorflow": "2.20.0", "tf_keras": "2.20.1", "grpcio-status": "1.71.2", "numpy": "2.0.2", "sdist-only": "1"},
    direct=(),
)


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the index."""
    folder = tmp_path / "links"
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    requires = ("numpy>=1.26", "h5py", 'old; python_version < "3"', 'nvidia; extra == "and-cuda"')
    for version in ("2.15.0", "2.20.0", "2.21.0"):
        stubworld.stub(folder, "tensorflow", version, requires, "cp312-cp312-manylinux_2_17_x86_64")
    stubworld.stub(folder, "tensorflow", "2.22.0", requires, "cp313-cp313-manylinux_2_17_x86_64")
    stubworld.stub(folder, "tf-keras", "2.20.1", ["tensorflow<2.21"])
    members = {"grpc_status/x_pb2.py": MODULE}
    extra = stubworld.lines(["protobuf<6"])
    fakewheels.write_wheel(folder, members, name="grpcio_status", version="1.71.2", tag="py3-none-any", extra=extra)
    for pin in ("numpy==1.26.4", "numpy==2.0.2", "numpy==2.3.0", "h5py==3.14.0", "protobuf==5.29.6"):
        stubworld.stub(folder, *pin.split("=="), [])
    return folder


@pytest.mark.usefixtures("links")
def test_a_survey_finds_what_a_judgement_needs_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "surveyed.toml").write_text(SURVEYED, encoding="utf-8")
    found = survey.run(tmp_path, [INSTALLED], old=Distributions(), date="2026-11-26")
    assert found == Distributions(
        date="2026-11-26",
        source="PyPI, read with pip",
        pythons=("3.12",),
        versions={
            "tensorflow": {"2.21.0": "12", "2.20.0": "12", "2.15.0": "12"},
            "tensorflow-cpu": {},
            "tensorflow-cuda13": {},
            "h5py": {"3.14.0": "12"},
            "numpy": {"2.3.0": "12", "2.0.2": "12", "1.26.4": "12"},
        },
        requires={
            "tensorflow": dict.fromkeys(("2.21.0", "2.20.0"), ("numpy>=1.26", "h5py")),
            "tf-keras": {"2.20.1": ("tensorflow<2.21",)},
            "grpcio-status": {"1.71.2": ("protobuf<6",)},
            "numpy": {"2.3.0": (), "2.0.2": ()},
            "h5py": {"3.14.0": ()},
        },
        gencode={"grpcio-status": {"1.71.2": "5.28.3"}},
    )
    newer = replace(INSTALLED, pins={"numpy": "2.3.0", "tf_keras": "2.20.1"}, python="3.13.1")
    more = survey.extended(tmp_path, newer, known=found)
    assert (more.pythons, more.requires["tf-keras"]) == (("3.12", "3.13"), found.requires["tf-keras"])
    assert more.versions["tensorflow"] == {"2.22.0": "13"} | found.versions["tensorflow"]
    assert more.offered("numpy", "3.12") == found.offered("numpy", "3.12")
    assert more.offered("numpy", "3.13") is not None


@pytest.mark.usefixtures("links")
def test_what_has_no_wheel_is_left_out() -> None:
    assert pip_queries.versions("sdist-only", python="3.12") == []
    assert pip_queries.versions("tensorflow", python="3.13") == ["2.22.0"]
    assert pip_queries.requirements({"numpy": "2.0.2", "sdist-only": "1"}, python="3.12") == {"numpy": ()}


def test_an_index_that_does_not_answer_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "no such choice")
    for ask in (pip_queries.versions, lambda name, python: pip_queries.requirements({name: "1"}, python=python)):
        with pytest.raises(DownloadError):
            ask("numpy", python="3.12")


@pytest.mark.usefixtures("links")
def test_an_official_version_that_is_newer_than_all_known_ones_is_found() -> None:
    known = Distributions(pythons=("3.12",), versions={"tensorflow": {"2.20.0": "12"}})
    judge = Judge(runtimes=(RUNTIME,), known=known)
    candidate = next(base for base in build_config.load().bases if base.version == "2.22.0rc0")
    for bases in ((), (candidate,)):  # which is newer, and hides nothing
        settings = type("Settings", (), {"bases": bases, "watched": ()})()
        assert drift.newer_than(settings, judge) == {"tensorflow": ["2.21.0"]}


@pytest.mark.usefixtures("links")
def test_a_first_release_under_a_reserved_name_is_found(tmp_path: Path) -> None:
    watched = build_config.load().watched
    judge = Judge(runtimes=(RUNTIME,), known=Distributions())
    settings = type("Settings", (), {"bases": (), "watched": watched})()
    folder = tmp_path / "links"
    for entry in watched:
        stubworld.stub(folder, entry.project, entry.seen, [])
    assert not {one.project for one in watched} & drift.newer_than(settings, judge).keys()
    stubworld.stub(folder, "tensorflow-cuda13", "2.23.0rc0", [])
    stubworld.stub(folder, "tf-nightly-cuda13", "2.24.0.dev20261101", [])
    found = drift.newer_than(settings, judge)
    assert (found["tensorflow-cuda13"], found["tf-nightly-cuda13"]) == (["2.23.0rc0"], ["2.24.0.dev20261101"])


def test_the_snapshot_program_describes_the_environment_that_runs_it() -> None:
    program = ROOT / "scripts" / "tfwheel" / "colab" / "snapshot_program.py"
    said = subprocess.run([sys.executable, "-I", program], capture_output=True, check=True).stdout
    runtime = of_snapshot(snapshots.parse_snapshot(said, source="snapshot"), name="here")
    assert runtime.python == ".".join(map(str, sys.version_info[:3]))
    assert "packaging" in runtime.installed
    assert any(one.startswith("markdown-it-py") for one in runtime.requires["rich"])
