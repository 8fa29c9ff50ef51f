"""The gate of symbols on libraries that a compiler made, with the loader's opinion beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from fakewheels import FRAMEWORK, MANYLINUX, OP_LIBRARY, RULES, write_wheel
from gates import judge_ops
from tfwheel.checks.errors import SymbolsGateError

if TYPE_CHECKING:
    from pathlib import Path

LOADER = """
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **words) {
  if (dlopen(words[1], RTLD_NOW | RTLD_LOCAL)) return 0;
  fputs(dlerror(), stderr);
  return 1;
}
"""
HEADER = """
#include <cmath>
#include <string>
namespace tensorflow {
class OpKernel {
 public:
  virtual ~OpKernel();
  explicit OpKernel(int id);
  std::string name(std::string before, const std::string &after);
  static int count(int group);
};
}
extern "C" const char *TF_Version(void);
"""
FRAMEWORK_SOURCE = """
namespace tensorflow {
OpKernel::~OpKernel() {}
OpKernel::OpKernel(int) {}
std::string OpKernel::name(std::string before, const std::string &after) { return before + after; }
int OpKernel::count(int group) { return group; }
}
"""
USES = 'int op(int x) { return tensorflow::OpKernel(x).name("a", "b").size(); }'
LINK = ("-l:libtensorflow_framework.so.2",)


def compiled(path: Path, source: str, *flags: str, header: str = HEADER) -> Path:
    """A library from C++."""
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ["g++", "-shared", "-fPIC", "-o", str(path), "-x", "c++", "-", "-x", "none", *flags]
    subprocess.run(argv, input=header + source, text=True, check=True)
    return path


@dataclass(frozen=True, kw_only=True)
class Place:
    """An official wheel, the folder with its libraries, and a program that loads a library as TensorFlow does."""

    wheel: Path
    folder: Path
    loader: Path

    def load(self, library: Path) -> str:
        """What the loader says against a library; nothing if it takes it."""
        env = {**os.environ, "LD_LIBRARY_PATH": f"{self.folder}:{library.parent}"}
        return subprocess.run([self.loader, library], env=env, capture_output=True, text=True, check=False).stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Stand-ins for TensorFlow's two libraries, the second with versions as it has them."""
    folder = tmp_path_factory.mktemp("official")
    framework = compiled(
        folder / "libtensorflow_framework.so.2", FRAMEWORK_SOURCE, "-Wl,-soname,libtensorflow_framework.so.2"
    )
    (folder / "versions").write_text("tensorflow { global: TF_*; local: *; };\n")
    cc = compiled(
        folder / "libtensorflow_cc.so.2",
        'const char *TF_Version(void) { static tensorflow::OpKernel one(1); return "2.20.0"; }',
        f"-Wl,-soname,libtensorflow_cc.so.2,--version-script={folder / 'versions'}",
        f"-L{folder}",
        *LINK,
    )
    members = {FRAMEWORK: framework.read_bytes(), "tensorflow/libtensorflow_cc.so.2": cc.read_bytes()}
    tag = f"cp312-cp312-{MANYLINUX}"
    wheel = write_wheel(folder / "wheel", members, name="tensorflow", version="2.20.0", tag=tag)
    loader = folder / "loader"
    argv = [str(shutil.which("gcc")), "-o", str(loader), "-x", "c", "-", "-ldl"]
    subprocess.run(argv, input=LOADER, text=True, check=True)
    return Place(wheel=wheel, folder=folder, loader=loader)


def judged(place: Place, folder: Path, *libraries: Path) -> str:
    """What the gate says about an ops wheel with these libraries, for a platform as new as this machine."""
    members = {f"tfwheel_ops/{library.name}": library.read_bytes() for library in libraries}
    newest = replace(RULES, ceiling="manylinux_2_39_x86_64")
    return judge_ops(folder / "wheel", place.wheel, members, newest, tag="manylinux_2_39_x86_64")


def op(place: Place, folder: Path, source: str, *flags: str, header: str = HEADER) -> Path:
    """The library of an op, linked against the stand-ins."""
    return compiled(folder / OP_LIBRARY.rpartition("/")[2], source, f"-L{place.folder}", *flags, header=header)


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        (USES, LINK),
        ("int op(void) { return TF_Version()[0]; }", ("-l:libtensorflow_cc.so.2",)),
        (USES, ("-Wl,--no-as-needed", "-l:libtensorflow_cc.so.2")),  # through what it links
        ('extern "C" __attribute__((weak)) int perhaps(void);\nint op(void) { return perhaps ? perhaps() : 0; }', LINK),
        ("double op(double x) { return std::cosh(x); }", LINK),  # g++ links the library of mathematics
        ("thread_local int here; int *op(void) { return &here; }", LINK),
    ],
)
def test_what_the_loader_takes_passes(place: Place, tmp_path: Path, source: str, flags: tuple[str, ...]) -> None:
    library = op(place, tmp_path, source, *flags)
    assert not place.load(library)
    assert judged(place, tmp_path, library).endswith("of 1 libraries of its own, each in what they link")


@pytest.mark.parametrize(
    ("source", "flags", "words"),
    [
        ("int missing(int); int op(int x) { return missing(x); }", LINK, ("`missing(int)`: no library here has it",)),
        (
            USES,
            ("-D_GLIBCXX_USE_CXX11_ABI=0", *LINK),
            ("tensorflow::OpKernel::name(", "for the other ABI of std::string", "with _GLIBCXX_USE_CXX11_ABI=0"),
        ),
        (USES, (), ("`tensorflow::OpKernel::OpKernel(int)`: it is in `libtensorflow_framework.so.2`, which is not",)),
        ("int op(void) { return TF_Version()[0]; }", LINK, ("`TF_Version`: it is in `libtensorflow_cc.so.2`",)),
        (
            'extern "C" double cosh(double); double op(double x) { return cosh(x); }',
            ("-nodefaultlibs", "-lc"),
            ("`cosh`: it is in `libm.so.6`, which is not linked",),
        ),
    ],
)
def test_what_the_loader_refuses_is_refused_with_its_reason(
    place: Place, tmp_path: Path, source: str, flags: tuple[str, ...], words: tuple[str, ...]
) -> None:
    library = op(place, tmp_path, source, *flags)
    assert "undefined symbol" in place.load(library)
    with pytest.raises(SymbolsGateError) as caught:
        judged(place, tmp_path, library)
    assert all(word in caught.value.message for word in words), caught.value.message


def refused(place: Place, folder: Path, *libraries: Path) -> str:
    """The error about these libraries."""
    with pytest.raises(SymbolsGateError) as caught:
        judged(place, folder, *libraries)
    return caught.value.message


NEWER = HEADER.replace("count(int group)", "count(int group, long more)")


def test_what_another_tensorflow_declares_is_shown_beside_what_this_one_has(place: Place, tmp_path: Path) -> None:
    library = op(place, tmp_path, "int op(int x) { return tensorflow::OpKernel::count(x, 1); }", *LINK, header=NEWER)
    assert "undefined symbol" in place.load(library)
    assert (
        "`tensorflow::OpKernel::count(int, long)`: `libtensorflow_framework.so.2` has "
        "`tensorflow::OpKernel::count(int)`; this library was compiled for another TensorFlow"
    ) in refused(place, tmp_path, library)


def test_without_a_demangler_symbols_are_named_as_the_linker_does(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = op(place, tmp_path, "int op(int x) { return tensorflow::OpKernel::count(x, 1); }", *LINK, header=NEWER)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "`_ZN10tensorflow8OpKernel5countEil`: `libtensorflow_framework.so.2` has `_ZN10tensorflow8" in refused(
        place, tmp_path, library
    )


def test_libraries_of_the_wheel_are_found_where_they_are_linked_and_only_there(place: Place, tmp_path: Path) -> None:
    core = compiled(tmp_path / "libcore.so", "int core(int x) { return x; }", "-Wl,-soname,libcore.so")
    source = "int core(int); int op(int x) { return core(x); }"
    linked = op(place, tmp_path, source, f"-L{tmp_path}", "-lcore")
    assert not place.load(linked)
    assert judged(place, tmp_path, linked, core).endswith("of 2 libraries of its own, each in what they link")
    loose = op(place, tmp_path / "loose", source)
    assert "undefined symbol" in place.load(loose)
    assert "`core(int)`: it is in `libcore.so`, which is not linked" in refused(place, tmp_path, loose, core)


def test_a_library_that_is_not_in_the_wheel_is_refused_by_name(place: Place, tmp_path: Path) -> None:
    core = compiled(tmp_path / "libcore.so", "int core(int x) { return x; }", "-Wl,-soname,libcore.so.3")
    library = op(place, tmp_path, "int core(int); int op(int x) { return core(x); }", f"-L{tmp_path}", "-lcore")
    assert "libcore.so.3: cannot open shared object file" in place.load(library)
    assert f"`{OP_LIBRARY}` needs `libcore.so.3`, which is neither" in refused(place, tmp_path, library)
    assert core.exists()


def test_a_version_that_tensorflow_does_not_have_is_refused(place: Place, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "versions").write_text("tensorflow_3 { global: TF_*; local: *; };\n")
    flags = f"-Wl,-soname,libtensorflow_cc.so.2,--version-script={newer / 'versions'}"
    compiled(newer / "libtensorflow_cc.so.2", 'const char *TF_Version(void) { return "3"; }', flags)
    source = "int op(void) { return TF_Version()[0]; }"
    library = compiled(tmp_path / "_ops.so", source, f"-L{newer}", "-l:libtensorflow_cc.so.2")
    assert "version `tensorflow_3' not found" in place.load(library)
    said = refused(place, tmp_path, library)
    assert (
        "`TF_Version` of version tensorflow_3 of `libtensorflow_cc.so.2`: `libtensorflow_cc.so.2` has it, but" in said
    )
