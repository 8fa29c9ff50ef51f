"""Build pipeline of one target: official wheel, toolchain, ops, merge, gates, smoke test, index.

The only module that knows all stages; they share data through the record only.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from tfwheel.build import (
    gpu_code,
    official_wheel,
    ops_stage,
    published_names,
    source_base,
    summary,
    toolchain,
    verification,
)
from tfwheel.build.job import FinishedWheel, Job
from tfwheel.build.source_build import SourceOptions
from tfwheel.checks import container_environments
from tfwheel.config import build_config, ops_projects, plan
from tfwheel.config.paths import Paths
from tfwheel.config.targets import session_of
from tfwheel.index import local_index
from tfwheel.index.errors import WheelMissingError
from tfwheel.index.site import SiteContent
from tfwheel.system import console, digests, kept_folders, sources
from tfwheel.wheel import overlay, provenance
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.build.toolchain import Toolchain
    from tfwheel.config.build_config import Config
    from tfwheel.retarget.libraries import RetargetedLibraries
    from tfwheel.system.containers import ContainerHost
    from tfwheel.wheel.overlay import MergedWheel


def build(
    target_id: str,
    *,
    force: bool = False,
    require_gpu: bool = False,
    smoke: bool = True,
    trial: bool = False,
    source: SourceOptions | None = None,
    paths: Paths | None = None,
) -> Record:
    """Build, check, smoke-test and serve one target; returns the record of its wheel.

    An unchanged target is not rebuilt; a message says so. ``force`` rebuilds it, ``require_gpu`` fails unless the smoke
    test ran on a GPU. Without ``smoke`` it is only built and gated: nothing of the wheel is run, and it is not served
    before ``smoke_target`` has tested it. ``source`` is for a target whose base is built from source. ``trial`` builds,
    for this machine only, although the version is published from other inputs. Raises NameTakenError before any work,
    and the FactoryError of the failed step; a wheel that did not pass every step is not served.
    ``dist/reports/summary.md`` is updated in any case.
    """
    paths = paths or Paths.here()
    config = build_config.load(paths.settings)
    target = plan.find(plan.targets(config), target_id)
    with _summing_up(config, target_id, paths):
        published_names.require_free(config, target, paths, trial=trial)
        source_base.require(target, source or SourceOptions(), paths)
        job = Job.of(target_id, paths)
        console.say(f"{job.target.id}: {job.base.file} -> {job.target.version}")
        return _made(job, force=force, require_gpu=require_gpu, smoke=smoke)


def _made(job: Job, *, force: bool, require_gpu: bool, smoke: bool) -> Record:
    """Build a target unless it is unchanged, check, test and serve it as ``build`` says."""
    with job.exclusive(job.target.id), job.scratch():
        chain = toolchain.choose(job.target.line, cache=job.paths.cache)
        key = _key(job, chain)
        finished = None if force else job.kept(job.target.id, key)
        if finished:
            console.say(f"  unchanged: {finished.wheel.name} has this configuration's key {key[:12]}; not rebuilt")
            finished = job.renewed(finished)
            return _smoke_and_serve(job, finished, require_gpu=require_gpu).record if smoke else finished.record
        if not smoke:
            return _build_untested(job, chain, key, force=force).record
        return _serve(job, _build(job, chain, key, force=force, require_gpu=require_gpu)).record


def smoke_target(
    target_id: str,
    *,
    require_gpu: bool = False,
    image: str | None = None,
    engine: str | None = None,
    paths: Paths | None = None,
) -> Record:
    """Smoke-test the finished wheel of a target again, and its ops wheel if that was never tested so.

    With ``image`` it is tested in a container of that image by ``engine``, by default the first that works. Stores the
    new reports in their records; returns that of the target. Raises the errors of a smoke test.
    """
    job = Job.of(target_id, paths or Paths.here())
    summing_up = _summing_up(job.config, target_id, job.paths)
    with summing_up, job.exclusive(job.target.id), job.scratch():
        finished, ops = job.kept(job.target.id), job.kept(job.target.ops_id)
        if job.target.builder == "ops":
            finished, ops = ops, None
        if finished is None:
            message = f"there is no wheel for {target_id} yet"
            session = f'nox -s "{session_of(job.target.line.name)}({target_id})"'
            raise WheelMissingError(message, remedy=f"Build it first: `{session}`.")
        place = container_environments.find_place(job.target, image, engine) if image else None
        tested = _smoke_and_serve(job, finished, require_gpu=require_gpu, again=True, place=place)
        if ops:
            with job.exclusive(job.target.ops_id):
                _smoke_and_serve(job, ops, require_gpu=require_gpu, place=place)
        return tested.record


@contextmanager
def _summing_up(config: Config, target_id: str, paths: Paths) -> Iterator[None]:
    """Update ``dist/reports/summary.md`` when the block ends, even with an error."""
    try:
        yield
    finally:
        summary.refresh(paths, expected=summary.expected(config, [target_id]))


def _build(job: Job, chain: Toolchain, key: str, *, force: bool, require_gpu: bool) -> FinishedWheel:
    """Build the wheel of a target from the official one, gated and smoke-tested."""
    if job.target.builder == "ops":
        with ops_stage.built(job, chain, _fetched(job, chain), code=code_key(), force=force) as compiled:
            return verification.smoke_test(job, compiled, require_gpu=require_gpu)
    with verification.prepared_environment(job, require_gpu=require_gpu) as environment:
        base = _fetched(job, chain)
        with gpu_code.retargeted_in_background(job, base) as retargeted:
            with ops_stage.built(job, chain, base, code=code_key(), force=force) as compiled:
                ops = _smoke_and_serve(job, compiled, require_gpu=require_gpu)
            native = retargeted.result()
        merged = _merged(job, base, ops, native)
        record = _described(job, merged, ops, native, key)
        return verification.verify_merged(
            job, merged, record, base=base, environment=environment, require_gpu=require_gpu
        )


def _build_untested(job: Job, chain: Toolchain, key: str, *, force: bool) -> FinishedWheel:
    """Build and gate the wheel of a target from the official one; nothing of it is run."""
    base = _fetched(job, chain)
    if job.target.builder == "ops":
        with ops_stage.built(job, chain, base, code=code_key(), force=force) as ops:
            return ops
    with gpu_code.retargeted_in_background(job, base) as retargeted:
        with ops_stage.built(job, chain, base, code=code_key(), force=force) as ops:
            pass  # for other Pythons it is free while this one waits for its libraries
        native = retargeted.result()
    merged = _merged(job, base, ops, native)
    return verification.gate_merged(job, merged, _described(job, merged, ops, native, key), base=base)


def _fetched(job: Job, chain: Toolchain) -> Path:
    """Fetch the sources of the ops, and then the official wheel and, in parallel, all else that a build downloads."""
    with console.step("sources of the ops", job.times):
        job.ops_sources()
        job.ops_tests()
    cache, kept = job.paths.cache, official_wheel.cached_path(job.base, job.paths.cache)
    if chain.toolkit and chain.cuda_root and kept_folders.is_whole(chain.cuda_root):
        job.cached.append("toolchain")
    with ThreadPoolExecutor() as aside:
        parts = aside.submit(toolchain.prepare, job.target.line, cache=cache)
        tools = aside.submit(gpu_code.fetch_tools, job)
        with console.step("official wheel", job.times), job.recording_cache_hit("official wheel", kept):
            base = official_wheel.fetch(job.base, cache)
        parts.result()
        tools.result()
    return base


def _merged(job: Job, base: Path, ops: FinishedWheel, native: RetargetedLibraries) -> MergedWheel:
    """Merge the ops and the retargeted libraries into the official wheel."""
    with console.step("merge", job.times):
        return overlay.merge_overlay(
            base=base,
            locked=job.base,
            ops=ops.wheel,
            target=job.target,
            patches=job.patches,
            out_dir=job.work / "merged",
            libraries=native.deflated,
            requires=native.requires,
            rules=job.config.repair.ops,
        )


def _described(job: Job, merged: MergedWheel, ops: FinishedWheel, native: RetargetedLibraries, key: str) -> Record:
    """Return the record of a merged wheel, still without gates and smoke test."""
    return Record(
        target=job.target.id,
        project="tensorflow",
        version=job.target.version,
        line=job.target.line.name,
        python=job.target.python,
        file=merged.wheel.name,
        sha256=merged.sha256,
        size=merged.size,
        key=key,
        source_commit=job.commit(),
        builder=provenance.builder(os.environ),
        inputs=job.inputs,
        tools=ops.record.tools,
        base=job.base.as_recorded,
        repair=ops.record.repair,
        retarget=native.record,
        cached=list(job.cached),
    )


def _smoke_and_serve(
    job: Job, finished: FinishedWheel, *, require_gpu: bool, again: bool = False, place: ContainerHost | None = None
) -> FinishedWheel:
    """Smoke-test a wheel unless its report is current, and update the index."""
    return _serve(job, verification.smoke_test(job, finished, require_gpu=require_gpu, again=again, place=place))


def _serve(job: Job, finished: FinishedWheel) -> FinishedWheel:
    """Update the index with a wheel that passed."""
    job.warn_if_other_bytes(finished)
    local_index.update(job.paths, SiteContent(settings=job.config))
    return finished


def code_key() -> str:
    """Return a digest of the code that decides the bytes of a wheel, or whether it passes the gates."""
    return sources.digest(__name__, without=ops_stage.UNRELATED)


def _key(job: Job, chain: Toolchain) -> str:
    """Return a digest of everything that decides the bytes of a target's wheel, or whether it passes the gates."""
    return digests.of_facts(
        target={name: value for name, value in asdict(job.target).items() if name != "default"},
        base=asdict(job.base),
        ops=[ops_projects.identity(project, job.paths.settings) for project in job.config.ops],
        patches=digests.of_tree(job.patches),
        ceilings=digests.of_tree(job.ceilings),
        rules=asdict(job.config.repair),
        toolchain=chain.identity,
        tools=digests.tool_versions(),
        libraries=digests.library_versions(),
        code=code_key(),
    )
