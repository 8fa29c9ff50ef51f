"""A configuration with a custom-op project of every kind, and a stand-in TensorFlow that their libraries link."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import fakewheels
from tfwheel.build import ops_sources, ops_wheel, toolchain
from tfwheel.config import ops_projects
from tfwheel.config.targets import Line

if TYPE_CHECKING:
    from pathlib import Path

TARGET = fakewheels.target(Line(name="cpu", label="cpu", base="tensorflow"))
HOST = '#include "tensorflow/core/op.h"\nextern "C" int tf_version(void);\n'
HOST += 'extern "C" int {name}(void) {{ return tf_version() + FROM_THE_HEADER + PLUS; }}\n'
HOST += 'extern "C" const char *{name}_file(void) {{ return __FILE__; }}\n'
# The library of a project with sources shows nothing: it does its work when it is loaded, as ops register.
PRINTING = HOST + 'static int printed = __builtin_printf("%s %d\\n", "{name}", {name}());\n'
LINE = PRINTING.format(name="bee").splitlines()[4]
CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(theirs LANGUAGES CXX)
if(NOT "${THEIR_VERSION} ${GPU} ${PRICE}" STREQUAL "2.20.0 OFF $1")
  message(FATAL_ERROR "${THEIR_VERSION} ${GPU} ${PRICE}")
endif()
add_library(helper SHARED helper.cc)
add_library(by_cmake MODULE op.cc)
target_include_directories(by_cmake PRIVATE "$ENV{TENSORFLOW_SDK}/tensorflow/include")
target_compile_definitions(by_cmake PRIVATE PLUS=${PLUS})
target_link_libraries(by_cmake PRIVATE helper "$ENV{TENSORFLOW_SDK}/tensorflow/libtensorflow_framework.so.2")
install(TARGETS helper by_cmake LIBRARY DESTINATION lib)
"""
MAKE = 'all:\n\t$(CXX) $(CXXFLAGS) -shared -fPIC -DPLUS=3 "-I$(TENSORFLOW_SDK)/tensorflow/include" -o made.so op.cc '
MAKE += '"$(TENSORFLOW_SDK)/tensorflow/libtensorflow_framework.so.2"\n'
SETUP = """
[build-system]
requires = ["scikit-build-core>=0.11"]
build-backend = "scikit_build_core.build"
[project]
name = "their-name"
version = "7"
dependencies = ["numpy>=1.26", "tensorflow>=2", "six; extra == 'more'"]
license-files = ["LICENSE"]
[tool.scikit-build]
wheel.cmake = false
wheel.py-api = "py3"
wheel.packages = ["pure_ops"]
"""
OPS_TOML = """
[[project]]
name = "kernels"
kind = "sources"
git = "{git}"
commit = "{commit}"
patches = "changes"
packages = ["kernel_ops"]
definitions = ["PLUS=1"]

[[project.library]]
file = "kernel_ops/deep/_ops.so"
sources = ["cc", "more/c*.cc"]

[[project]]
name = "by-cmake"
kind = "cmake"
path = "by_cmake"
packages = ["cmake_ops"]
root = "python"
configure = ["-DPLUS=2", "-DTHEIR_VERSION=$TENSORFLOW_VERSION", "-DGPU=$OPS_GPU", "-DPRICE=$$1"]
licenses = ["TERMS"]

[[project.library]]
file = "cmake_ops/_ops.so"
built = "lib/libby_cmake.so"

[[project.library]]
file = "cmake_ops/libdevice.so"
gpu_only = true

[[project.library]]
file = "cmake_ops/libhelper.so"
built = "lib/libhelper.so"

[[project]]
name = "made"
kind = "command"
path = "made"
packages = ["made_ops"]
commands = [["make"], ["cp", "made.so", "copied here.so"]]
requires = ["six>=1.16"]

[[project.library]]
file = "made_ops/_ops.so"
built = "copied here.so"

[[project]]
name = "pure"
kind = "pyproject"
path = "pure"
packages = ["pure_ops"]

[[project]]
name = "done"
kind = "prebuilt"
path = "done"
packages = ["done_ops"]
"""

LINKED = OPS_TOML.partition('[[project]]\nname = "by-cmake"')[0].replace('patches = "changes"\n', "")


def make_sdk(folder: Path) -> Path:
    """Make the headers and framework library of a stand-in TensorFlow."""
    fakewheels.framework(folder / "tensorflow")
    header = folder / "tensorflow/include/tensorflow/core/op.h"
    header.parent.mkdir(parents=True)
    header.write_text("#define FROM_THE_HEADER 1\n")
    return folder


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files, by their paths in a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def committed(repository: Path) -> str:
    """Make a repository of a folder; return its commit."""
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def make_settings(folder: Path, repository: Path) -> Path:
    """Make a configuration with one project of each kind, one of them in a repository."""
    write(
        repository,
        {
            "cc/a.cc": PRINTING.format(name="a"),
            "cc/kernels/b.cc": PRINTING.format(name="bee"),
            "more/c [[]==] $x.cc": PRINTING.format(name="c"),
            "more/other.cc": "#error never compiled\n",
            "LICENSE": "theirs\n",
        },
    )
    write(
        folder,
        {
            "changes/name.patch": "--- a/cc/kernels/b.cc\n+++ b/cc/kernels/b.cc\n@@ -5,1 +5,1 @@\n"
            f"-{LINE}\n+{LINE.replace('bee', 'b', 1)}\n",
            "by_cmake/CMakeLists.txt": CMAKE,
            "by_cmake/op.cc": "int helper();\n" + HOST.format(name="d").replace("PLUS;", "PLUS + helper();"),
            "by_cmake/helper.cc": "int helper() { return 10; }\n",
            "by_cmake/python/cmake_ops/__init__.py": "WHO = 'cmake'\n",
            "by_cmake/python/cmake_ops/old.o": "not for a wheel",
            "by_cmake/TERMS": "their terms\n",
            "made/Makefile": MAKE,
            "made/op.cc": HOST.format(name="e"),
            "pure/pyproject.toml": SETUP,
            "pure/LICENSE": "pure\n",
            "pure/pure_ops/__init__.py": "WHO = 'pure'\n",
            "done/done_ops/__init__.py": "WHO = 'done'\n",
        },
    )
    (folder / "ops.toml").write_text(OPS_TOML.format(git=repository.as_uri(), commit=committed(repository)))
    return folder


def compiled(settings: Path, sdk: Path, tmp_path: Path, name: str = "work") -> Path:
    """Make the ops wheel of all projects of that configuration."""
    projects = ops_projects.load(settings)
    return ops_wheel.compile_ops(
        [(one, ops_sources.fetch(one, settings, tmp_path / "cache")) for one in projects],
        target=TARGET,
        sdk=sdk,
        toolchain=toolchain.choose(TARGET.line, cache=tmp_path / "cache"),
        workspace=tmp_path / name,
        log=tmp_path / "log",
    )


def said(site: Path, library: str) -> str:
    """Return what a library prints when it is loaded."""
    ask = [sys.executable, "-c", f"import ctypes; ctypes.CDLL({str(site / library)!r})"]
    return subprocess.run(ask, check=True, capture_output=True, text=True).stdout


def value(site: Path, library: str, function: str) -> int:
    """Return what a function of a library returns that lies beside a TensorFlow."""
    ask = f"import ctypes; print(ctypes.CDLL({str(site / library)!r}).{function}())"
    done = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    return int(done.stdout)


def change(settings: Path, old: str, new: str) -> None:
    """Change the text of ops.toml."""
    path = settings / "ops.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
