"""Merged wheels in the hands of other programs: unzip, zipfile, installer, check-wheel-contents, pip, uv, twine."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from installer.sources import WheelFile

import fakewheels
import needs
from tfwheel.config.targets import Base, Line, Target
from tfwheel.wheel import sbom
from tfwheel.wheel.overlay import merge_overlay
from tfwheel.wheel.reader import WheelReader
from tfwheel.wheel.writer import Changes, NewFile, merge

BIN = Path(sys.executable).parent
SCRIPTS = Path(__file__).parents[3] / "scripts"
LINE = Line(name="cu12", label="cu125", base="tensorflow")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TARGET = Target(tensorflow="2.20.0", python=PYTHON, line=LINE, build=1)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged wheel for the Python of the tests."""
    folder = tmp_path_factory.mktemp("merged")
    base = fakewheels.fake_base(folder, python=TARGET.python_tag, binary=False)
    ops = fakewheels.fake_ops(folder, tag="py3-none-manylinux_2_24_x86_64")
    sbom.embed(ops, sbom.of_ops(project="tfwheel-ops", target=TARGET, ops=["op"], tools={}))
    locked = Base(
        project="tensorflow",
        version="2.20.0",
        python=PYTHON,
        file=base.name,
        sha256="0" * 64,
        size=base.stat().st_size,
        platforms=(),
        requires_python="",
        requires_dist=(),
    )
    return merge_overlay(
        base=base, locked=locked, ops=ops, target=TARGET, patches=folder / "none", out_dir=folder / "out"
    ).wheel


def run(*argv: str | Path) -> str:
    """Run a program that must succeed; returns what it printed."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_unzip_and_zipfile_find_no_fault(wheel: Path) -> None:
    run("unzip", "-tq", wheel)
    run(sys.executable, "-m", "zipfile", "-t", wheel)


def test_installer_agrees_with_every_row_of_record(wheel: Path) -> None:
    with WheelFile.open(wheel) as opened:
        opened.validate_record()
        assert opened.version == TARGET.version


def test_check_wheel_contents_and_twine_find_no_fault(wheel: Path) -> None:
    run(BIN / "check-wheel-contents", "--ignore", "W002,W009", wheel)  # duplicates, as in TensorFlow; two packages
    run(BIN / "twine", "check", "--strict", wheel)


@pytest.mark.parametrize(
    "install",
    [
        [sys.executable, "-m", "pip", "install", "--quiet"],
        [BIN / "uv", "pip", "install", "--quiet", "--python", sys.executable],
    ],
    ids=["pip", "uv"],
)
def test_it_installs_and_is_found(wheel: Path, tmp_path: Path, install: list[str | Path]) -> None:
    run(*install, "--no-deps", "--no-index", "--target", tmp_path, wheel)
    code = (
        "import importlib.metadata as m, tensorflow, tfwheel_ops;"
        "print(m.version('tensorflow'), m.metadata('tensorflow')['License-File'])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)}
    )
    assert printed.stdout.split() == [TARGET.version, "LICENSE"]
    assert (tmp_path / f"_{fakewheels.OP_LIBRARY}").stat().st_mode & 0o111


def test_more_than_65535_members(tmp_path: Path) -> None:
    members = {f"demo/{number}": b"" for number in range(66_000)}
    base = fakewheels.write_wheel(tmp_path, members, name="demo", version="1.0", tag="py3-none-any")
    out = tmp_path / "out.whl"
    with WheelReader(base) as reader:
        result = merge(
            reader,
            out,
            changes=Changes(dist_info="demo-1.0+x.dist-info", epoch=1_577_836_800, add={"a": NewFile(content=[b"a"])}),
        )
    assert result.kept == len(members)
    with zipfile.ZipFile(out) as archive:
        assert len(archive.namelist()) == len(members) + 4
    run("unzip", "-tq", out)


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (unshare,) = needs.programs("unshare")
    script = 'mount -t tmpfs -o size=1m none "$1" || exit 77; "$2" -c "$3" "$1"; ls -A "$1"'
    done = subprocess.run(
        [unshare, "--map-root-user", "--mount", "sh", "-c", script, "sh", tmp_path, sys.executable, FILL],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        allow = "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        pytest.skip(f"only root may mount here: run as root, or `{allow}` (Ubuntu): {done.stderr.strip()}")
    assert done.stdout == "DiskFullError\n", done.stderr


FILL = """
import os, sys
from pathlib import Path
from tfwheel.system.errors import DiskFullError
from tfwheel.system.files import writing
try:
    with writing(Path(sys.argv[1]) / "x") as stream:
        for _ in range(4):
            stream.write(os.urandom(1 << 20))
except DiskFullError:
    print("DiskFullError")
"""
