"""The `ops` builder: compiles the custom-op projects once per TensorFlow minor and line, for every Python.

An op's library uses no CPython symbol and links only ``libtensorflow_framework.so.2``. So it needs only the headers
and that library, unpacked from an official wheel; TensorFlow itself is never installed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tfwheel.build import ops_builds, ops_kernels, ops_packing
from tfwheel.build.ops_builds import Order
from tfwheel.config import ops_projects
from tfwheel.config.targets import WHEEL_EPOCH
from tfwheel.system import console, digests, kept_folders
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path, PurePosixPath

    from tfwheel.build.toolchain import Toolchain
    from tfwheel.config.ops_projects import OpsProject
    from tfwheel.config.targets import Target

PROJECT = ops_packing.PROJECT
FRAMEWORK = "tensorflow/libtensorflow_framework.so.2"
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


def compile_key(
    *, target: Target, projects: Sequence[OpsProject], settings: Path, sdk: str, toolchain: Toolchain
) -> str:
    """Return a digest of everything that decides the bytes of the ops wheel."""
    return digests.of_facts(
        version=target.version,
        archs=target.line.archs,
        ptx=target.line.ptx,
        projects=[ops_projects.identity(project, settings) for project in projects],
        modules=digests.of_tree(ops_kernels.MODULES),
        sdk=sdk,
        toolchain=toolchain.identity,
        tools=digests.tool_versions(),
    )


def compile_ops(
    projects: Sequence[tuple[OpsProject, Path]],
    *,
    target: Target,
    sdk: Path,
    toolchain: Toolchain,
    workspace: Path,
    log: Path,
) -> Path:
    """Build all custom-op projects, each from its tree, and pack them into the ops wheel below ``workspace``.

    Raises CompileError, with the compiler's last error first, when an op does not compile, and OpsSourceError.
    """
    built = []
    for project, tree in projects:
        order = Order(
            project=project,
            tree=tree,
            variables=_environment(target, sdk, toolchain),
            work=workspace / "ops" / project.name,
            log=log,
            what=target.ops_id,
        )
        made = ops_builds.build(order)
        if project.kind != "sources":
            ops_packing.set_search_paths(made)
        built.append(made)
    return ops_packing.pack(built, target=target, out_dir=workspace / "ops-dist")


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
