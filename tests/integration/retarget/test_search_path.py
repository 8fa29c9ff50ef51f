"""Which libcudart the real loader takes where LD_LIBRARY_PATH holds a wrong one, with the wheel of a line and without.

gcc makes a small TensorFlow that opens CUDA as the real one does, by dlopen from the framework library, and both
libcudart; the product makes the wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakewheels
from fakewheels import FRAMEWORK, LINE, PYWRAP, RUNPATH, Declared
from gates import judge
from tfwheel.build import gpu_code
from tfwheel.checks import wheel_gates
from tfwheel.retarget import ptxas
from tfwheel.system.processes import run
from tfwheel.wheel import overlay

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.wheel.overlay import MergedWheel

OPENS = """
#include <dlfcn.h>
int which_cuda(void) {
  void *library = dlopen("libcudart.so.12", RTLD_LAZY);
  int (*number)(void) = library ? (int (*)(void))dlsym(library, "number") : 0;
  return number ? number() : -1;
}
"""
PROGRAM = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).which_cuda())"
RIGHT, WRONG = 12, 11


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small official wheel whose framework opens CUDA; another library has the same RUNPATH, and opens nothing."""
    folder = tmp_path_factory.mktemp("official")
    flags = [f"-Wl,--enable-new-dtags,-rpath,{RUNPATH}", "-ldl"]
    library = fakewheels.compile_library(folder / "libtensorflow_framework.so.2", OPENS, *flags).read_bytes()
    members = {"tensorflow/__init__.py": b"", FRAMEWORK: library, PYWRAP: library}
    extra = "Requires-Dist: numpy>=1.26.0\n"
    tag = f"cp312-cp312-{fakewheels.MANYLINUX}"
    return fakewheels.write_wheel(folder, members, name="tensorflow", version="2.20.0", tag=tag, extra=extra)


def cudart(folder: Path, number: int) -> Path:
    """A folder with a libcudart that says its number."""
    code = f"int number(void) {{ return {number}; }}"
    fakewheels.compile_library(folder / "libcudart.so.12", code, "-Wl,-soname,libcudart.so.12")
    return folder


def made(folder: Path, official: Path, *, rpath: bool) -> MergedWheel:
    """The wheel of a line."""
    job = replace(
        fakewheels.job(folder),
        target=fakewheels.target(replace(LINE, rpath=rpath)),
        base=fakewheels.locked(official),
    )
    with job.scratch():
        native = gpu_code.make(job, official, pool=ptxas.WorkerPool())
        return overlay.merge_overlay(
            base=official,
            locked=job.base,
            ops=None,
            target=job.target,
            patches=folder / "none",
            out_dir=folder,
            libraries=native.deflated,
            requires=native.requires,
        )


def opened(folder: Path, wheel: Path, *, pip: bool = True, **environment: str) -> int:
    """The number of the libcudart that the installed wheel opens; a package of pip has the right one."""
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    if pip:
        cudart(site / "nvidia" / "cuda_runtime" / "lib", RIGHT)
    argv = [sys.executable, "-c", PROGRAM, str(site / FRAMEWORK)]
    clean = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run(argv, env=clean | environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.parametrize(("rpath", "number"), [(False, WRONG), (True, RIGHT)])
def test_pip_wins_over_the_variable_with_rpath_and_not_without(
    tmp_path: Path, official: Path, *, rpath: bool, number: int
) -> None:
    wheel = made(tmp_path, official, rpath=rpath).wheel
    assert opened(tmp_path, wheel) == RIGHT
    poisoned = cudart(tmp_path / "other-cuda", WRONG)
    assert opened(tmp_path, wheel, LD_LIBRARY_PATH=str(poisoned)) == number


def test_without_packages_of_pip_the_variable_serves(tmp_path: Path, official: Path) -> None:
    wheel = made(tmp_path, official, rpath=True).wheel
    elsewhere = cudart(tmp_path / "other-cuda", WRONG)
    assert opened(tmp_path, wheel, pip=False, LD_LIBRARY_PATH=str(elsewhere)) == WRONG


def test_the_wheel_passes_the_gates_and_its_notice_names_the_library(tmp_path: Path, official: Path) -> None:
    merged = made(tmp_path, official, rpath=True)
    declared = Declared(wheel=merged.wheel, added=merged.added, replaced=merged.replaced, removed=merged.removed)
    aim = fakewheels.target(replace(LINE, rpath=True))
    for gate in (wheel_gates.contents, wheel_gates.graft, wheel_gates.arch):
        judge(gate, declared, official, aim=aim)
    assert judge(wheel_gates.runpath, declared, official, aim=aim).endswith(f"DT_RPATH in {FRAMEWORK}")
    with zipfile.ZipFile(merged.wheel) as now, zipfile.ZipFile(official) as before:
        notice = now.read(f"{fakewheels.INFO}/licenses/NOTICE").decode()
        changed = [
            (was, is_) for was, is_ in zip(before.read(FRAMEWORK), now.read(FRAMEWORK), strict=True) if was != is_
        ]
        assert now.read(PYWRAP) == before.read(PYWRAP)
    assert notice.partition("Changed files of TensorFlow:\n")[2].startswith(f"    {FRAMEWORK}\n\n")
    assert changed == [(29, 15)]


def test_without_the_option_no_byte_of_a_library_is_another(tmp_path: Path, official: Path) -> None:
    merged = made(tmp_path, official, rpath=False)
    with zipfile.ZipFile(merged.wheel) as now, zipfile.ZipFile(official) as before:
        assert all(now.read(name) == before.read(name) for name in (FRAMEWORK, PYWRAP))


def test_readelf_says_rpath(tmp_path: Path, official: Path) -> None:
    with zipfile.ZipFile(made(tmp_path, official, rpath=True).wheel) as archive:
        library = archive.extract(FRAMEWORK, tmp_path)
    shown = run(["readelf", "-d", library])
    assert f"(RPATH)              Library rpath: [{RUNPATH}]" in shown
    assert "RUNPATH" not in shown
