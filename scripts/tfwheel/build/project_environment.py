"""Makes the environment of a project that has its own build (CMake, Makefile, setup.py): where everything is."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tfwheel.build import toolchain
from tfwheel.config.targets import WHEEL_EPOCH
from tfwheel.system import git, scratch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfwheel.build.toolchain import Toolchain
    from tfwheel.config.targets import Line, Target

# As tf.sysconfig of each official TensorFlow from 2.16 on has them: C++17, and what Eigen aligns for.
CXX_FLAGS = ("-D_GLIBCXX_USE_CXX11_ABI=1", "--std=c++17", "-DEIGEN_MAX_ALIGN_BYTES=64")
# Variables of the user that a build gets beside the flags of the cache key: who runs it and where, how to reach the
# network, what fetches with which credentials. Any other could change bytes and not the key.
PASSED = re.compile(
    r"HOME|USER|LOGNAME|SHELL|TERM|NO_COLOR|CI|TMPDIR|LD_LIBRARY_PATH|XDG_.*|(?i:(all|ftp|https?|no)_proxy)|"
    r"SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(PIP|UV|GIT|SSH|CCACHE|SCCACHE|AWS|ACTIONS)_.*|"
    + "|".join([*toolchain.OF_NO_BYTE, scratch.MARK])
)
C_COMPILERS = {"g++": "gcc", "clang++": "clang", "c++": "cc"}


def variables(*, target: Target, sdk: Path, chain: Toolchain, path: str) -> dict[str, str]:
    """Return the variables that a project's own build gets; index/docs/ops.md has what each is for.

    ``sdk`` is the folder of ``project_sdk.unpack``, ``path`` the PATH that the programs of the toolchain go before.
    """
    tensorflow = sdk / "tensorflow"
    programs = [str(Path(sys.executable).parent), *([str(chain.cuda_root / "bin")] if chain.cuda_root else [])]
    compiler = _c_compiler(chain.host.path)
    return {
        **settings(target, sdk),
        **chain.environment(),
        **({"CC": str(compiler)} if compiler else {}),
        **_cuda(target.line, chain),
        "LC_ALL": "C.UTF-8",  # in which compiler_errors reads what compilers say, and programs sort
        "PATH": os.pathsep.join([*programs, *([path] if path else [])]),
        "OPS_GPU": "ON" if target.line.archs or target.line.ptx else "OFF",
        "TENSORFLOW_ROOT": str(tensorflow),
        "TENSORFLOW_VERSION": target.tensorflow,
        "TF_CFLAGS": shlex.join([f"-I{tensorflow / 'include'}", *CXX_FLAGS]),
        "TF_LFLAGS": shlex.join([f"-L{tensorflow}", "-l:libtensorflow_framework.so.2"]),
    }


def withheld() -> dict[str, None]:
    """Return the variables of the user that no build gets, unless ``variables`` sets them, each as None."""
    return {name: None for name in os.environ if not _is_passed(name)}


def _is_passed(name: str) -> bool:
    return toolchain.is_flag(name) or (bool(PASSED.fullmatch(name)) and name not in git.OF_A_REPOSITORY)


def hiding(*folders: Path) -> dict[str, str]:
    """Return compiler flags, added to those of the user, that keep the paths of folders out of what is compiled."""
    maps = [f"-ffile-prefix-map={folder}=." for folder in folders]
    return {name: " ".join(filter(None, [os.environ.get(name), shlex.join(maps)])) for name in ("CFLAGS", "CXXFLAGS")}


def settings(target: Target, sdk: Path | PurePosixPath) -> dict[str, str]:
    """Return the variables of the custom-op project except its compilers; ``sdk`` is the path that compilers see."""
    return {
        "SOURCE_DATE_EPOCH": str(WHEEL_EPOCH),
        "TENSORFLOW_SDK": str(sdk),
        "TFWHEEL_OPS_VERSION": target.version,
        "OPS_CUDA_ARCHS": ";".join(target.line.archs),
        "OPS_PTX": target.line.ptx or "",
    }


def _cuda(line: Line, chain: Toolchain) -> Mapping[str, str]:
    """Return where CUDA is and what to compile for; nothing on a line without GPU code."""
    if not chain.cuda_root:
        return {}
    root = str(chain.cuda_root)
    # An nvcc compiles; where there is none, the one of our CUDA tree has clang compile.
    nvcc = chain.device.path if chain.device and chain.kind == "nvcc" else chain.cuda_root / "bin/nvcc"
    found = {
        "CUDAARCHS": cmake_archs(line),
        "CUDACXX": str(nvcc),
        "CUDAHOSTCXX": str(chain.host.path),
        "CUDA_HOME": root,
        "CUDA_PATH": root,
        "CUDAToolkit_ROOT": root,
    }
    if chain.launcher and chain.launcher.name == "ccache":
        # Its time and size alone would not tell another clang behind our nvcc.
        found["CCACHE_COMPILERCHECK"] = "%compiler% --version"
    return found


def cmake_archs(line: Line) -> str:
    """Return the GPU code of a line as CMake's CMAKE_CUDA_ARCHITECTURES says it: ``75-real;90`` has PTX for 9.0."""
    names = [arch if arch == line.ptx else f"{arch}-real" for arch in line.archs]
    alone = [f"{line.ptx}-virtual"] if line.ptx and line.ptx not in line.archs else []
    return ";".join([*names, *alone])


def _c_compiler(cxx: Path) -> Path | None:
    """Return the C compiler beside a C++ compiler, such as gcc-13 beside g++-13; None where there is none."""
    found = re.fullmatch(r"(.*?)(clang\+\+|g\+\+|c\+\+)(-[\d.]+)?", cxx.name)
    compiler = cxx.with_name(f"{found[1]}{C_COMPILERS[found[2]]}{found[3] or ''}") if found else None
    return compiler if compiler and compiler.is_file() else None
