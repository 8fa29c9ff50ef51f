"""Retargets the libraries of a build while the rest of it goes on, and says what they must pass.

The only module that knows both those who make the libraries and those who judge them.
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
    """Have NVIDIA's programs in the cache, where the line retargets; raises DownloadError and ToolchainError."""
    if job.target.line.retarget:
        ptxas.prepare(job.target.line.retarget.tools, cache=job.paths.cache)
        cuda_binutils.prepare(job.paths.cache)


@contextmanager
def retargeted_in_background(job: Job, base: Path) -> Iterator[Future[RetargetedLibraries]]:
    """Retarget the libraries of an official wheel in a thread while the block runs.

    The result is empty where the line leaves them as they are. When the block fails, the thread gives up: what has been
    compiled by then is kept, nothing else is. Raises what ``libraries.native`` raises, when asked for.
    """
    pool = ptxas.WorkerPool()
    with ThreadPoolExecutor(max_workers=1) as aside:
        try:
            yield aside.submit(make, job, base, pool=pool)
        finally:
            pool.cancel()


def make(job: Job, base: Path, *, pool: ptxas.WorkerPool, cache: Path | None = None) -> RetargetedLibraries:
    """The libraries of an official wheel as the line of a target asks for; ``cache`` instead of the usual one."""
    wanted = job.target.line.retarget
    if wanted is None:
        return RetargetedLibraries()
    cache = cache or job.paths.cache
    compiler = ptxas.prepare(wanted.tools, cache=job.paths.cache)
    with console.step("retarget", job.times):
        return libraries.native(
            wanted,
            tensorflow=job.target.tensorflow,
            base=base,
            locked=job.base,
            ceilings=job.ceilings,
            compiler=replace(compiler, cache=cache / "gpu-code", pool=pool),
            cache=cache,
            work=job.work,
            check=check(wanted, job.paths.cache),
        )


def check(wanted: Retarget, cache: Path) -> Check:
    """What a retargeted library must pass: the gates, with what its line promises and there was room for."""

    def run(result: RetargetResult) -> dict[str, str]:
        left_out = {arch for family in result.report.families.values() for arch in family.left_out}
        library = gpu_gates.Retargeted(
            original=result.official,
            patched=result.patched,
            archs=gpu_gates.promised(wanted, left_out=left_out),
            edits=result.edits,
            symbols=result.report.symbols,
        )
        return gpu_gates.run_retarget_gates(library, cache=cache)

    return Check(key=sources.digest(__name__), run=run)
