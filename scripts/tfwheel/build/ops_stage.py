"""Compiles, repairs, checks and keeps the ops wheel of a target: once for all Pythons of a TensorFlow and line."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from tfwheel.build import ops_wheel, project_sdk, repair, tensorflow_sdk
from tfwheel.build.errors import OpsSourceError
from tfwheel.checks import wheel_gates
from tfwheel.config.targets import WHEEL_EPOCH
from tfwheel.system import console, digests, files
from tfwheel.wheel import provenance, sbom
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tfwheel.build.job import FinishedWheel, Job
    from tfwheel.build.toolchain import Toolchain

# Imports that no wheel depends on: the index lists finished wheels, the summary describes them, their fit in Colab's
# runtimes is judged again when they are published, and a changed smoke test tests the same wheel.
UNRELATED = (
    *("index", "colab", "build.summary", "checks.environments", "checks.container_environments"),
    *("checks.smoke", "checks.smoke_checks", "checks.ops_trial", "checks.ops_checks"),
)


@contextmanager
def built(job: Job, chain: Toolchain, base: Path, *, code: str, force: bool) -> Iterator[FinishedWheel]:
    """Yield the repaired ops wheel, compiled once for all Pythons of a TensorFlow version and line.

    It is locked while the block runs, so that it is smoke-tested only once. ``code`` is a digest of the code that
    decides its bytes and whether it passes the gates. Raises OpsSourceError when the sources change meanwhile, and the
    errors of the compilers, of the repair and of the gates.
    """
    compile_key = partial(
        ops_wheel.compile_key,
        target=job.target,
        projects=job.config.ops,
        settings=job.paths.settings,
        sdk=tensorflow_sdk.sdk_key(base),
        toolchain=chain,
    )
    compiled = compile_key()
    key = digests.of_facts(
        compiled=compiled, rules=asdict(job.config.repair), libraries=digests.library_versions(), code=code
    )
    with job.exclusive(job.target.ops_id):
        finished = None if force else job.kept(job.target.ops_id, key)
        if finished:
            console.say(f"  ops: {finished.wheel.name} serves this Python too; not compiled")
            job.cached.append("ops")
            finished = job.renewed(finished)
        else:
            finished = _compile(job, chain, base, key, is_same=lambda: compile_key() == compiled)
        yield finished


def _compile(job: Job, chain: Toolchain, base: Path, key: str, *, is_same: Callable[[], bool]) -> FinishedWheel:
    """Compile, repair and finish the ops wheel; ``is_same`` tells whether sources are still those of the key."""
    target, log = job.target, job.log("ops")
    kept = tensorflow_sdk.kept_sdk(base, job.paths.cache)
    with console.step("TensorFlow headers", job.times), job.recording_cache_hit("headers", kept):
        sdk = project_sdk.unpack(base, job.paths.cache, cc=any(project.tensorflow_cc for project in job.config.ops))
    with console.step("compile ops", job.times):
        raw = ops_wheel.compile_ops(
            job.ops_sources(), target=target, sdk=sdk, toolchain=chain, workspace=job.work, log=log
        )
    if not is_same():
        message = "the sources or settings of the custom ops changed while they were built: nothing of it is kept"
        raise OpsSourceError(message, remedy="Run the same command again.")
    with console.step("auditwheel repair", job.times):
        wheel, report = repair.repair(raw, job.work / "repaired", job.config.repair, epoch=WHEEL_EPOCH, log=log)
    return finish(job, wheel, report, base=base, key=key, tools=digests.tool_versions() | chain.versions)


def finish(
    job: Job, wheel: Path, report: dict[str, Any], *, base: Path, key: str, tools: dict[str, str]
) -> FinishedWheel:
    """Add the SBOM to a repaired ops wheel, run its gates and keep it.

    ``report`` is the report of its repair, ``base`` the official wheel that it was compiled for, ``tools`` the versions
    of the tools that made it. Raises the errors of the gates.
    """
    target, rules = job.target, job.config.repair
    sbom.embed(wheel, sbom.of_ops(project=ops_wheel.PROJECT, target=target, ops=job.ops, tools=tools))
    with console.step("gates of the ops wheel", job.times):
        passed = wheel_gates.run_ops_gates(wheel, base=base, target=target, rules=rules)
    record = Record(
        target=target.ops_id,
        project=ops_wheel.PROJECT,
        version=target.version,
        line=target.line.name,
        python=None,
        file=wheel.name,
        sha256=files.sha256_of(wheel),
        size=wheel.stat().st_size,
        key=key,
        source_commit=job.commit(),
        builder=provenance.builder(os.environ),
        inputs=job.inputs,
        tools=tools,
        gpu_code=passed.gpu_code,
        repair=report,
        gates=passed.findings,
        times=dict(job.times),
        cached=list(job.cached),
    )
    return job.keep(wheel, record)
