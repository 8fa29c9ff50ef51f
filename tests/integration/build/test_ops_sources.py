"""Which sources the custom-op project compiles, and what it says of others: its real CMake files, with a real clang."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from platformdirs import user_cache_path

import fakewheels
from tfwheel.build import compilers, cuda_tree
from tfwheel.build.errors import NoCompilerError
from tfwheel.config import build_config
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.gpu import fatbin
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping

# As sources of TensorFlow's own projects are written.
HOST = """
#include "twice.h"
#if GOOGLE_CUDA
#include <cuda_runtime_api.h>
extern "C" void compute(float* x) { Twice(x); }
#endif
"""
DEVICE = """
#if GOOGLE_CUDA
#include "tensorflow/core/of_tensorflow.h"
#include "twice.h"
__global__ void twice(float* x) { x[threadIdx.x] *= FACTOR; }
void Twice(float* x) { twice<<<1, 32>>>(x); }
#endif
"""
SOURCES = {
    "theirs/cc/kernels/twice.h": "#pragma once\nvoid Twice(float* x);\n",
    "theirs/cc/kernels/twice.cc": HOST,
    "theirs/cc/kernels/twice.cu.cc": DEVICE,
    "mine.cc": 'void Other(float* x);\nextern "C" void other(float* x) { Other(x); }\n',
    "mine.cu": "__global__ void k(float* x) { *x = 1; }\nvoid Other(float* x) { k<<<1, 1>>>(x); }\n",
}


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of the project: the compilers of the line cu12, and a stand-in for TensorFlow."""
    try:
        clang = compilers.clang().path
    except NoCompilerError as error:
        pytest.skip(str(error))
    sdk = tmp_path_factory.mktemp("sdk")
    header = sdk / "tensorflow/include/tensorflow/core/of_tensorflow.h"
    header.parent.mkdir(parents=True)
    header.write_text("#define FACTOR 2\n")
    fakewheels.framework(sdk / "tensorflow")
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TENSORFLOW_SDK": str(sdk),
        "OPS_CUDA_ARCHS": "75",
        "OPS_PTX": "75",
        "OPS_DEVICE_COMPILER": str(clang),
        "OPS_CUDA_PATH": str(cuda_tree.make(build_config.load().lines["cu12"], user_cache_path("tfwheel"))),
    }


def build(folder: Path, sources: Mapping[str, str], variables: Mapping[str, str]) -> Path:
    """Build the project with these sources in place of its own; return the library."""
    project = folder / "ops"
    shutil.copytree(CONFIG_DIR / "ops" / "cmake", project / "cmake")
    shutil.copy(CONFIG_DIR / "ops" / "CMakeLists.txt", project)
    for name, text in sources.items():
        path = project / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    facts = ["-G", "Ninja", "-DSKBUILD_PROJECT_VERSION_FULL=2.99.0+cu125.1"]
    run(["cmake", "-S", project, "-B", folder / "build", *facts], env=variables)
    run(["cmake", "--build", folder / "build"], env=variables)
    return folder / "build" / "tfwheel_ops" / "_ops.so"


def test_sources_of_any_folder_are_compiled_and_both_names_of_kernels(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    library = build(tmp_path, SOURCES, variables)
    found = [entry.name for entry in fatbin.entries(library) if entry.kind == "ELF"]
    assert len(found) == 2
    assert fatbin.archs_of(library) == ("sm_75", "compute_75")


def test_without_gpus_only_the_sources_for_the_cpu_are_compiled(tmp_path: Path, variables: dict[str, str]) -> None:
    alone = {name: text for name, text in SOURCES.items() if not name.startswith("mine")}
    library = build(tmp_path, alone, {**variables, "OPS_CUDA_ARCHS": "", "OPS_PTX": ""})
    assert fatbin.archs_of(library) == ()


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({"deep/a.cpp": "", "b.c": ""}, "Nothing compiles src/b.c, src/deep/a.cpp: sources are *.cc"),
        ({"deep/none.cu.cc": "#if NO_SUCH_MACRO\n__global__ void k() {}\n#endif\n"}, "none.cu.cc has no kernel"),
        ({"none.cu": "void f() {}\n"}, "none.cu has no kernel"),
    ],
)
def test_a_source_that_gives_nothing_fails_the_build_by_name(
    tmp_path: Path, variables: dict[str, str], sources: dict[str, str], words: str
) -> None:
    with pytest.raises(CommandError) as caught:
        build(tmp_path, SOURCES | sources, variables)
    assert words in " ".join(caught.value.output.split())
