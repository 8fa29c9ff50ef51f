"""Changes the libraries of a build in the background, and checks them with the GPU gates.

The only module that imports both the code that writes the libraries and the code that checks them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tfwheel.checks import gpu_gates
from tfwheel.gpu import cuda_binutils
from tfwheel.retarget import libraries, ptxas
from tfwheel.retarget.libraries import Check, RetargetedLibraries
from tfwheel.system import console, sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from tfwheel.build.job import Job
    from tfwheel.config.schema import Retarget
    from tfwheel.retarget.libraries import RetargetResult


def fetch_tools(job: Job) -> None:
    """Fetch NVIDIA's programs into the cache if the line retargets; raises DownloadError and ToolchainError."""
    if job.target.line.retarget:
        ptxas.prepare(job.target.line.retarget.tools, cache=job.paths.cache)
        cuda_binutils.prepare(job.paths.cache)


@contextmanager
def retargeted_in_background(job: Job, base: Path) -> Iterator[Future[RetargetedLibraries]]:
    """Change the libraries of an official wheel in a thread while the block runs.

    The result is empty if the line changes none. When the block fails, the thread is cancelled; GPU code compiled
    by then stays in the cache. ``result()`` of the future raises the errors of ``libraries.native``.
    """
    pool = ptxas.WorkerPool()
    with ThreadPoolExecutor(max_workers=1) as aside:
        try:
            yield aside.submit(make, job, base, pool=pool)
        finally:
            pool.cancel()


def make(job: Job, base: Path, *, pool: ptxas.WorkerPool, cache: Path | None = None) -> RetargetedLibraries:
    """Change the libraries of an official wheel for the line of a target; ``cache`` replaces the default cache."""
    line = job.target.line
    if line.retarget is None and not line.rpath:
        return RetargetedLibraries()
    cache = cache or job.paths.cache
    compiler = ptxas.prepare(line.retarget.tools, cache=job.paths.cache) if line.retarget else None
    with console.step("retarget", job.times):
        return libraries.native(
            line,
            tensorflow=job.target.tensorflow,
            base=base,
            locked=job.base,
            ceilings=job.ceilings,
            compiler=replace(compiler, cache=cache / "gpu-code", pool=pool) if compiler else None,
            cache=cache,
            work=job.work,
            check=check(line.retarget, job.paths.cache),
        )


def check(wanted: Retarget | None, cache: Path) -> Check:
    """Return the check of a changed library: the GPU gates, with the archs that its line promises.

    Where only declared bytes differ, it is the gate for the others.
    """

    def run(result: RetargetResult) -> dict[str, str]:
        library = gpu_gates.Retargeted(
            original=result.official,
            patched=result.patched,
            archs=gpu_gates.promised(wanted) if wanted else {},
            edits=result.edits,
            symbols=result.report.symbols,
        )
        if not result.retargeted:
            return gpu_gates.run_edit_gates(library)
        return gpu_gates.run_retarget_gates(library, cache=cache)

    return Check(key=sources.digest(__name__), run=run)
