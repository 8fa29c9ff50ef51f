"""The `ops` builder: compiles the custom-op project once per TensorFlow minor and line, for every Python.

An op's library uses no CPython symbol and links only ``libtensorflow_framework.so.2``. So it needs only the headers
and that library, unpacked from an official wheel; TensorFlow itself is never installed.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from tfwheel.build.errors import CompileError
from tfwheel.config.targets import WHEEL_EPOCH
from tfwheel.system import console, digests, kept_folders
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path, PurePosixPath

    from tfwheel.build.toolchain import Toolchain
    from tfwheel.config.targets import Target

PROJECT = "tfwheel-ops"
FRAMEWORK = "tensorflow/libtensorflow_framework.so.2"
# What sources of older projects name: how it is called now, and what g++ or clang says of the old name.
RENAMED = (
    ("Status::OK()", "absl::OkStatus()", r"\WOK\W is not a member of|no member named 'OK'"),
    ("third_party/eigen3/", "", r"third_party/eigen3/\S+: No such file|'third_party/eigen3/\S+' file not found"),
    ("gpu/cub/", "cub/", r"gpu/cub/\S+: No such file|'\S*gpu/cub/\S+' file not found"),
)
HEADERS = "tensorflow/include/"
# The only headers that differ between Pythons; no op may use them.
PYTHON_HEADERS = "tensorflow/include/external/local_config_python/"


def sdk_key(base: Path) -> str:
    """Return a digest of the headers an op may use, the same for every Python of a TensorFlow version."""
    with WheelReader(base) as wheel:
        names = sorted(name for name in wheel.names() if _is_shared_header(name))
        return digests.of_facts(headers=[(name, wheel.member(name).crc, wheel.member(name).size) for name in names])


def kept_sdk(base: Path, cache: Path) -> Path:
    """Return the cache folder for headers and framework library of an official wheel; it need not exist."""
    return cache / "sdks" / sdk_key(base)


def unpack_sdk(base: Path, cache: Path) -> Path:
    """Unpack headers and framework library of an official wheel into the cache once; returns the folder."""

    def unpack(folder: Path) -> None:
        with WheelReader(base) as wheel:
            names = [name for name in wheel.names() if _is_shared_header(name)] + [FRAMEWORK]
            for name in console.track(names, name="unpack TensorFlow headers"):
                wheel.extract(name, folder / name)

    busy = f"another run unpacks the headers of {base.name}"
    return kept_folders.keep(kept_sdk(base, cache), unpack, cache=cache, busy=busy)


def compile_key(*, target: Target, project: Path, sdk: str, toolchain: Toolchain) -> str:
    """Return a digest of everything that decides the bytes of the ops wheel."""
    return digests.of_facts(
        version=target.version,
        archs=target.line.archs,
        ptx=target.line.ptx,
        project=digests.of_tree(project),
        sdk=sdk,
        toolchain=toolchain.identity,
        tools=digests.tool_versions(),
    )


def compile_ops(*, target: Target, project: Path, sdk: Path, toolchain: Toolchain, workspace: Path, log: Path) -> Path:
    """Build the ops wheel with `python -m build` and return its path below ``workspace``.

    Raises CompileError, with the compiler's last error first, when an op does not compile.
    """
    out = workspace / "ops-dist"
    argv: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out]
    argv += [f"--config-setting=build-dir={workspace / 'ops-build'}", project]
    try:
        run(argv, env=_environment(target, sdk, toolchain), log=log)
    except CommandError as error:
        message = f"the custom ops do not compile for {target.ops_id}\n{compiler_words(error.output)}"
        remedy = " ".join(["Correct the source named above.", *hints(error.output), f"The whole log is {log}."])
        raise CompileError(message, remedy=remedy) from error
    return next(out.glob("*.whl"))


def compiler_words(output: str) -> str:
    """Extract the errors from a build log, the last one first, each with the lines below it."""
    lines = output.splitlines()
    starts = [index for index, line in enumerate(lines) if re.search(r"\b(fatal )?error\b\s*:|CMake Error", line)]
    blocks = ["\n".join(lines[start : start + 4]) for start in reversed(starts[-5:])]
    return "\n".join(blocks or reversed(lines[-15:]))


def hints(output: str) -> list[str]:
    """Return what to write in place of names that TensorFlow had once, as far as compilers miss them."""
    found = [(old, new) for old, new, words in RENAMED if re.search(words, output)]
    return [f"Write `{new}` for `{old}`." if new else f"Leave `{old}` out." for old, new in found]


def settings(target: Target, sdk: Path | PurePosixPath) -> dict[str, str]:
    """Return the variables of the custom-op project except its compilers; ``sdk`` is the path that compilers see."""
    return {
        "SOURCE_DATE_EPOCH": str(WHEEL_EPOCH),
        "TENSORFLOW_SDK": str(sdk),
        "TFWHEEL_OPS_VERSION": target.version,
        "OPS_CUDA_ARCHS": ";".join(target.line.archs),
        "OPS_PTX": target.line.ptx or "",
    }


def _environment(target: Target, sdk: Path, toolchain: Toolchain) -> dict[str, str]:
    """Return all variables of the custom-op project; ``build_config/ops/CMakeLists.txt`` documents each one."""
    return {
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),  # noqa: PTH120
        **settings(target, sdk),
        **toolchain.environment(),
    }


def _is_shared_header(name: str) -> bool:
    return name.startswith(HEADERS) and not name.startswith(PYTHON_HEADERS) and not name.endswith("/")
