"""Builds the ops wheel in a container for an older platform, with headers, gates and smoke test of the native build.

All its output is below ``dist/container/``, in the layout of ``dist/``.
"""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tfwheel.build import (
    cibuildwheel,
    compiler_errors,
    cuda_tree,
    official_wheel,
    ops_stage,
    project_environment,
    published_names,
    tensorflow_sdk,
    verification,
)
from tfwheel.build.cibuildwheel import ContainerBuild
from tfwheel.build.errors import CompileError, ContainerBuildError
from tfwheel.build.job import FinishedWheel, Job
from tfwheel.checks import opened_wheel
from tfwheel.checks.errors import ArchGateError, ContentsGateError
from tfwheel.config import build_images, ops_projects
from tfwheel.config.build_images import BuildImage
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import Paths
from tfwheel.gpu import fatbin
from tfwheel.system import console, containers, digests, sources
from tfwheel.system.pip_settings import PipSettings
from tfwheel.wheel import overlay
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.config.targets import RepairRules, Target
    from tfwheel.system.containers import ContainerHost
    from tfwheel.wheel.records import Record

DOCKERFILE = build_images.FOLDER / "ops.Dockerfile"
COMPILING = "Building project with"  # output of the compilers follows; before it is pip's


def build(
    target_id: str,
    *,
    engine: str | None = None,
    image: str | None = None,
    force: bool = False,
    require_gpu: bool = False,
    paths: Paths | None = None,
) -> Record:
    """Build, check and smoke-test the ops wheel of a target in a container; returns its record.

    ``engine`` is docker or podman, by default the first that works; ``image`` replaces the image of ``_image``. Raises
    NameTakenError before any work, and the FactoryError of the failed step; a wheel that differs from the native build
    in members or GPU code is not kept.
    """
    native = paths or Paths.here()
    job = Job.of(target_id, replace(native, dist=native.dist / "container"))
    published_names.require_free(job.config, job.target, job.paths)
    with job.exclusive(job.target.ops_id), job.scratch():
        name = containers.find_engine(engine)
        with console.step(f"container image ({name})", job.times):
            place = containers.find_place(name, image or _image(job, name))
        with console.step("official wheel", job.times):
            base = official_wheel.fetch(job.base, job.paths.cache)
        key = _key(job, base, place)
        finished = None if force else job.kept(job.target.ops_id, key)
        if finished:
            console.say(f"  unchanged: {finished.wheel.name} has this configuration's key {key[:12]}; not rebuilt")
            finished = job.renewed(finished)
        else:
            finished = _build(job, place, base, key, beside=Job.of(target_id, native))
        return verification.smoke_test(job, finished, require_gpu=require_gpu).record


def _image(job: Job, engine: str) -> str:
    """Return the image that the project names, or, if ours adds the compiler to that very one, ours, which is made.

    Raises ConfigError if the project names none, and ContainerImageError.
    """
    named, ours = cibuildwheel.default_image(job.paths.settings / _package(job)), BuildImage(dockerfile=DOCKERFILE)
    if named != ours.base:
        return named
    containers.make_image(engine, ours.image, DOCKERFILE, job.work / "context")
    return ours.image


def _package(job: Job) -> str:
    """Return the path of the one custom-op project in the settings; ConfigError if cibuildwheel cannot build it."""
    (first, *more) = job.config.ops
    if more or first.kind != "pyproject" or not first.path or first.patches:
        where = job.paths.settings / ops_projects.FILE
        message = (
            f"{where}: cibuildwheel builds one project, of the kind `pyproject` with a `path`, and this has another"
        )
        raise ConfigError(message, remedy="Build on this machine (`nox -s build-cuda12`), or name that project alone.")
    return str(PurePosixPath(first.path, first.folder))


def _build(job: Job, place: ContainerHost, base: Path, key: str, *, beside: Job) -> FinishedWheel:
    log = job.log("container")
    with console.step("what the container needs", job.times):
        order = _order(job, base)
    with console.step(f"compile, repair and test in {place.image}", job.times):
        try:
            built = cibuildwheel.build(order, place, workspace=job.work / "container", log=log)
        except ContainerBuildError as error:
            raise _compile_error(job, error) or error from error
    with console.step("compare with the native build", job.times):
        _compare(built.wheel, beside.kept(job.target.ops_id), target=job.target, rules=job.config.repair)
    tools = built.tools | _compilers(built.wheel, job.config.ops[0].packages)
    return ops_stage.finish(job, built.wheel, built.repair, base=base, key=key, tools=tools)


def _order(job: Job, base: Path) -> ContainerBuild:
    target = job.target
    sdk = tensorflow_sdk.unpack_sdk(base, job.paths.cache)
    parts = target.line.toolkit
    return ContainerBuild(
        settings=job.paths.settings,
        package=_package(job),
        python=target.python_tag,
        environment=project_environment.settings(target, cibuildwheel.SDK),
        sdk=sdk,
        cuda=cuda_tree.make(target.line, job.paths.cache, python=cibuildwheel.PYTHON) if parts else None,
        official=base if job.base.project == overlay.NAME else None,
        pip=PipSettings.here(),
    )


def _compile_error(job: Job, error: ContainerBuildError) -> CompileError | None:
    """Return a CompileError with the compiler's output if the compiler failed, else None."""
    if error.step != cibuildwheel.BUILDING or COMPILING not in error.output:
        return None
    said = compiler_errors.words(error.output.partition(COMPILING)[2])
    message = f"the custom ops do not compile for {job.target.ops_id} in a container\n{said}"
    words = [
        "Correct the source named above; `/project` there is build_config/ here.",
        *compiler_errors.hints(error.output),
    ]
    return CompileError(message, remedy=" ".join(words))


def _compare(wheel: Path, native: FinishedWheel | None, *, target: Target, rules: RepairRules) -> None:
    """Compare members and GPU code with the native build, if there is one of this version."""
    if native is None or native.record.version != target.version:
        console.warn(f"there is no native build of {target.ops_id} to compare with")
        return
    with (
        opened_wheel.opened_ops(wheel, target=target, rules=rules) as ours,
        opened_wheel.opened_ops(native.wheel, target=target, rules=rules) as theirs,
    ):
        described = {name for name in theirs.files if "/sboms/" in name}  # the container's wheel gets its SBOM later
        other = ours.files ^ (theirs.files - described)
        if other:
            message = f"{wheel.name} and the native build differ in their members: {', '.join(sorted(other))}"
            raise ContentsGateError(message, remedy="Build the native one again, from the same sources, and compare.")
        for name, path in ours.libraries.items():
            found, expected = sorted(fatbin.archs_of(path)), sorted(fatbin.archs_of(theirs.libraries[name]))
            if found != expected:
                message = f"`{name}` has GPU code for {found or 'no GPU'}; the native build has {expected}"
                raise ArchGateError(message)


def _compilers(wheel: Path, packages: Sequence[str]) -> dict[str, str]:
    """Read the compilers from the wheel, if the build recorded them as that of the factory's own ops does."""
    with WheelReader(wheel) as reader:
        places = [f"{package}/_build_info.py" for package in packages]
        text = next((reader.read(place).decode() for place in places if place in reader.names()), "")
    found = dict(re.findall(r'^([A-Z_]+) = "([^"]*)"$', text, re.MULTILINE))
    names = {"host compiler": "HOST_COMPILER", "device compiler": "DEVICE_COMPILER"}
    return {words: found[name] for words, name in names.items() if found.get(name)}


def code_key() -> str:
    """Return a digest of the code that decides the bytes of the container's wheel, or whether it passes the gates."""
    return sources.digest(__name__, without=ops_stage.UNRELATED)


def _key(job: Job, base: Path, place: ContainerHost) -> str:
    """Return a digest of everything that decides the container's wheel, or whether it passes the gates."""
    return digests.of_facts(
        target={name: value for name, value in asdict(job.target).items() if name != "default"},
        sdk=tensorflow_sdk.sdk_key(base),
        project=ops_projects.identity(job.config.ops[0], job.paths.settings),
        parts=cuda_tree.key(job.target.line),
        image=place.image_id,
        rules=asdict(job.config.repair),
        code=code_key(),
    )
