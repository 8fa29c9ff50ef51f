"""An official wheel of another name becomes `tensorflow`, for pip and for those who require that; real installers."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from platformdirs import user_cache_path

import fakewheels
from tfwheel.config import build_config
from tfwheel.config.targets import Line, Target
from tfwheel.wheel.overlay import merge_overlay
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = "{}.{}".format(*sys.version_info)
TAG = "cp{}{}".format(*sys.version_info)
EXTRA = """\
Requires-Dist: packaging-like>=1
Requires-Dist: {project}[and-cuda]==2.23.0; extra == "all"
Provides-Extra: all
Requires-Dist: nvidia-cuda-runtime>=13.0.48,<14; extra == "and-cuda"
Provides-Extra: and-cuda
"""
MEMBERS = {
    "tensorflow/__init__.py": b'__version__ = "2.23.0"\n',
    "tensorflow/tools/saved_model.py": b"def main():\n    print('a saved model')\n",
}
ENTRY_POINTS = b"[console_scripts]\nsaved_model_cli = tensorflow.tools.saved_model:main\n"
ASK = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions()), m.version('tensorflow'))"


def official(folder: Path, project: str) -> Path:
    """An official TensorFlow of that name: metadata, top level, and a program."""
    info = f"{project}-2.23.0.dist-info"
    members = {**MEMBERS, f"{info}/entry_points.txt": ENTRY_POINTS, f"{info}/top_level.txt": b"tensorflow\n"}
    tag = f"{TAG}-{TAG}-{fakewheels.MANYLINUX}"
    return fakewheels.write_wheel(
        folder, members, name=project, version="2.23.0", tag=tag, extra=EXTRA.format(project=project)
    )


def merged(folder: Path, project: str) -> Path:
    base = official(folder, project)
    line = Line(name="cu13x", label="cu130", base=project.replace("_", "-"), cuda="13.0.2", archs=("75",))
    made = merge_overlay(
        base=base,
        locked=fakewheels.locked(base),
        ops=None,
        target=Target(tensorflow="2.23.0", python=PYTHON, line=line, build=4),
        patches=folder / "none",
        out_dir=folder / "out",
    )
    return made.wheel


@pytest.mark.parametrize("project", ["tensorflow_cuda13", "tensorflow_cpu", "some_other_build"])
def test_nothing_in_the_wheel_has_the_other_name_but_what_tells_its_origin(tmp_path: Path, project: str) -> None:
    wheel = merged(tmp_path, project)
    assert wheel.name.startswith("tensorflow-2.23.0+cu130.4-")
    info = "tensorflow-2.23.0+cu130.4.dist-info"
    with WheelReader(wheel) as reader:
        assert reader.dist_info == info
        assert reader.read(f"{info}/entry_points.txt") == ENTRY_POINTS
        text = reader.read(f"{info}/METADATA").decode()
        assert not [name for name in reader.names() if project in name]
        assert project not in reader.read(f"{info}/RECORD").decode()
        assert f"Made from: {project}-2.23.0-" in reader.read(f"{info}/licenses/NOTICE").decode()
    assert "Name: tensorflow\nVersion: 2.23.0+cu130.4\n" in text
    wanted = EXTRA.format(project="tensorflow")
    assert {line for line in wanted.splitlines() if line.startswith("Requires")} <= set(text.splitlines())
    assert project not in text


@pytest.mark.parametrize("project", ["tensorflow_cuda13", "tensorflow_cpu"])
def test_those_who_require_tensorflow_are_satisfied_and_its_programs_run(tmp_path: Path, project: str) -> None:
    wheels = tmp_path / "wheels"
    for name, requires in {"tensorflow_text_like": "tensorflow<2.24,>=2.23.0", "packaging_like": ""}.items():
        extra = f"Requires-Dist: {requires}\n" if requires else ""
        fakewheels.write_wheel(
            wheels, {f"{name}.py": b""}, name=name, version="2.23.0", tag="py3-none-any", extra=extra
        )
    wheel = merged(tmp_path / "made", project)
    wheel.rename(wheels / wheel.name)
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "virtualenv", "--quiet", environment], check=True)

    def run(*words: str | Path) -> str:
        done = subprocess.run(words, check=True, capture_output=True, text=True, env={"PATH": os.defpath})
        return done.stdout

    pip = (environment / "bin" / "python", "-m", "pip")
    run(*pip, "install", "--quiet", "--no-index", "--find-links", wheels, "tensorflow-text-like")
    assert run(*pip, "check") == "No broken requirements found.\n"
    named = run(environment / "bin" / "python", "-c", ASK)
    assert project.replace("_", "-") not in named
    assert "2.23.0+cu130.4" in named
    assert run(environment / "bin" / "saved_model_cli") == "a saved model\n"
    run(*pip, "uninstall", "--yes", "--quiet", "tensorflow")
    assert not list((environment / "lib").glob("python*/site-packages/tensorflow*/**/*.py"))


def test_installers_find_the_requirements_of_the_extra(tmp_path: Path) -> None:
    wheel = merged(tmp_path, "tensorflow_cuda13")
    found = importlib.metadata.PathDistribution(
        zipfile.Path(wheel, "tensorflow-2.23.0+cu130.4.dist-info/")  # type: ignore[arg-type]
    )
    assert 'nvidia-cuda-runtime>=13.0.48,<14; extra == "and-cuda"' in (found.requires or [])


def test_all_metadata_of_the_real_wheel_for_cpus_follows_the_name(tmp_path: Path) -> None:
    cache = user_cache_path("tfwheel") / "bases"
    config = build_config.load()
    bases = [base for base in config.bases if base.project == "tensorflow-cpu"]
    found = [(base, path) for base in bases if (path := cache / base.sha256 / base.file).is_file()]
    if not found:
        pytest.skip(f"no official wheel for CPUs is in {cache}: `nox -s build-cpu` brings it there")
    locked, base = found[0]
    target = Target(tensorflow=locked.version, python=locked.python, line=config.lines["cpu"], build=9)
    made = merge_overlay(
        base=base, locked=locked, ops=None, target=target, patches=tmp_path / "none", out_dir=tmp_path / "out"
    )
    info, old = f"tensorflow-{target.version}.dist-info", f"tensorflow_cpu-{locked.version}.dist-info"
    assert made.wheel.name.startswith(f"tensorflow-{target.version}-")
    with WheelReader(made.wheel) as ours, WheelReader(base) as official:
        assert (ours.dist_info, official.dist_info) == (info, old)
        assert [name for name in ours.names() if "tensorflow_cpu" in name] == []
        assert ours.read(f"{info}/entry_points.txt") == official.read(f"{old}/entry_points.txt")
        metadata = ours.read(f"{info}/METADATA").decode().partition("\n\n")[0]
        record = {row[0]: row[1] for row in csv.reader(ours.read(f"{info}/RECORD").decode().splitlines())}
        assert {name for name in ours.names() if not name.endswith("/")} == record.keys()
    with zipfile.ZipFile(made.wheel) as archive:
        wrong = [name for name, digest in record.items() if digest and digest != digest_of(archive, name)]
    assert wrong == []
    assert f"\nName: tensorflow\nVersion: {target.version}\n" in metadata
    assert "tensorflow_cpu" not in metadata.replace("-", "_")


def digest_of(archive: zipfile.ZipFile, name: str) -> str:
    """The digest of a member, as RECORD has it."""
    with archive.open(name) as stream:
        digest = hashlib.file_digest(stream, "sha256").digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
