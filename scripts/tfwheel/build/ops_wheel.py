"""The `ops` builder: compiles the custom-op projects once per TensorFlow minor and line, for every Python.

An op uses no CPython symbol, and TensorFlow itself is never installed: headers and libraries are unpacked from
an official wheel (``project_sdk``).
"""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING

from tfwheel.build import ops_builds, ops_kernels, ops_packing, project_environment
from tfwheel.build.ops_builds import Order
from tfwheel.config import ops_projects
from tfwheel.system import digests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.build.toolchain import Toolchain
    from tfwheel.config.ops_projects import OpsProject
    from tfwheel.config.targets import Target

PROJECT = ops_packing.PROJECT


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
    path = os.environ.get("PATH", "")
    environment = project_environment.variables(target=target, sdk=sdk, chain=toolchain, path=path)
    built = []
    for project, tree in projects:
        work = workspace / "ops" / project.name
        order = Order(
            project=project if target.line.gpu_code else project.without_gpu(),
            top=[tree, *tree.parents][len(PurePath(project.folder).parts)],
            tree=tree,
            variables=environment | project_environment.hiding(work / "tree", work, sdk),
            work=work,
            log=log,
            what=target.ops_id,
        )
        made = ops_builds.build(order)
        if project.kind != "sources":
            ops_packing.set_search_paths(made)
        built.append(made)
    return ops_packing.pack(built, target=target, out_dir=workspace / "ops-dist")
