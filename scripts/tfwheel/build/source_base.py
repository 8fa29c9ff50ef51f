"""Makes the base of a target from source: TensorFlow as Bazel builds it, repaired and measured like an official wheel.

From there on a target is built as every other one: ops, patches, version, gates and smoke test are those of an overlay.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import msgspec
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from tfwheel.build import base_facts, official_wheel, repair, source_build, toolchain
from tfwheel.build.errors import SourceWheelError
from tfwheel.config import build_config
from tfwheel.config.errors import NotLockedError
from tfwheel.config.targets import TENSORFLOW, WHEEL_EPOCH, Base
from tfwheel.source import trees
from tfwheel.source.order import SourceOrder
from tfwheel.system import console, digests, kept_folders, locks, scratch
from tfwheel.system.files import write_atomically
from tfwheel.wheel import core_metadata
from tfwheel.wheel.reader import WheelReader
from tfwheel.wheel.writer import Changes, merge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.build.source_build import SourceOptions
    from tfwheel.config.paths import Paths
    from tfwheel.config.targets import RepairRules, Target

FACTS = "base.json"
AND_CUDA = "and-cuda"  # the extra of TensorFlow that brings CUDA's libraries


def of(target: Target, paths: Paths) -> Base:
    """Return the base of a target; raise NotLockedError if it was not built here, or from another tree or options."""
    rules = build_config.load(paths.settings).repair
    if found := _kept(_folder(SourceOrder.of(target, paths.settings), rules, paths.cache), paths.cache):
        return found
    message = f"{target.id}: {paths.cache} has no TensorFlow {target.tensorflow} built from today's tree and options"
    remedy = (
        f"Run `nox -s build-source -- {target.id}`, which takes hours; or go on where that was done, with its cache."
    )
    raise NotLockedError(message, remedy=remedy)


def require(target: Target, options: SourceOptions, paths: Paths) -> None:
    """Build the base of a target that is built from source, or take a wheel that was, unless it is in the cache.

    A build that was stopped, killed or that failed goes on where it stopped. Raises ConfigError, NoCompilerError and
    TooSmallError before any work, and the errors of the room ``source``; SourceWheelError for a wheel that is not the
    target's.
    """
    if target.builder != "source":
        return
    wanted = SourceOrder.of(target, paths.settings)
    rules = build_config.load(paths.settings).repair
    toolchain.choose(target.line, cache=paths.cache)  # what compiles the ops afterwards must be there before the hours
    folder = _folder(wanted, rules, paths.cache)
    if found := _asked_for(wanted, options, _kept(folder, paths.cache)):
        console.say(f"{target.id}: TensorFlow {target.tensorflow} from source is in the cache, {found.file}")
        return
    lock = paths.cache / "locks" / f"source-{target.id}.lock"
    with locks.exclusive(lock, busy=f"another build of {target.id} from source is running"):
        if not _asked_for(wanted, options, _kept(folder, paths.cache)):
            _make(wanted, rules, options, paths, folder)


def _asked_for(wanted: SourceOrder, options: SourceOptions, kept: Base | None) -> Base | None:
    """Return a base that is kept, unless a wheel is named, or an image in which it was not built."""
    other = options.wheel or (options.image and kept and kept.source != _described(wanted, options))
    return None if other else kept


def _described(wanted: SourceOrder, options: SourceOptions) -> str:
    """Return what a base is built from, and where, if that is not the image of this repository."""
    image = f", built in {options.image}" if options.image else ""
    return trees.described(wanted) + (", built elsewhere" if options.wheel else image)


def _make(wanted: SourceOrder, rules: RepairRules, options: SourceOptions, paths: Paths, folder: Path) -> None:
    """Build, repair and measure the wheel, and keep it with its facts in ``folder``."""
    target = wanted.target
    logs = paths.dist / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with scratch.folder("source", where=scratch.within(paths.cache)) as work:
        raw = options.wheel or source_build.built(wanted, options, paths, work, logs / f"{target.id}.bazel.log")
        _require_name(raw, target)
        with console.step("auditwheel repair of TensorFlow"):
            log = logs / f"{target.id}.repair.log"
            wheel, _ = repair.repair(raw, work / "repaired", rules, epoch=WHEEL_EPOCH, log=log)
        _require_contents(wheel, target)
        wheel = _with_its_cuda(wheel, wanted.and_cuda, work / "fitted")
        with console.step(f"measure {wheel.name}"):
            measured = base_facts.measure(
                wheel, project=TENSORFLOW, version=target.tensorflow, python=target.python, scratch=work
            )
            base = replace(measured, source=_described(wanted, options))
        _require_gpu_code(base, target)
        place = official_wheel.cached_path(base, paths.cache)
        place.parent.mkdir(parents=True, exist_ok=True)
        wheel.replace(place)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FACTS, msgspec.json.encode(asdict(base)))
    console.say(f"{target.id}: TensorFlow {target.tensorflow} from source is {base.file}, sha256 {base.sha256}")


def _with_its_cuda(wheel: Path, requires: Sequence[str], folder: Path) -> Path:
    """Return the wheel in ``folder``, with these requirements in its extra ``and-cuda``; itself if there are none."""
    if not requires:
        return wheel
    folder.mkdir()
    with WheelReader(wheel) as reader:
        name = f"{reader.dist_info}/METADATA"
        fitted = core_metadata.with_extra(reader.read(name), AND_CUDA, requires)
        changes = Changes(dist_info=reader.dist_info, epoch=WHEEL_EPOCH, replace={name: [fitted]})
        merge(reader, folder / wheel.name, changes=changes)
    return folder / wheel.name


def _folder(wanted: SourceOrder, rules: RepairRules, cache: Path) -> Path:
    """Return where the facts of a base are kept; another tree, option, image or rule of repair is another folder."""
    key = digests.of_facts(
        target=wanted.target.id,
        options=[option.flag for option in wanted.options],
        bazel=[wanted.era.bazel, wanted.era.target],
        and_cuda=wanted.and_cuda,
        image=wanted.image,
        repair=[rules.ceiling, rules.exclude],
        tools=digests.tool_versions(),
        **wanted.tree_identity,
    )
    return cache / "source-bases" / key


def _kept(folder: Path, cache: Path) -> Base | None:
    try:
        base = msgspec.json.decode((folder / FACTS).read_bytes(), type=Base)
    except (OSError, msgspec.MsgspecError):
        return None
    wheel = official_wheel.cached_path(base, cache)
    whole = wheel.is_file() and wheel.stat().st_size == base.size
    return base if whole and kept_folders.use(folder, cache=cache, kept=lambda _: True) else None


def _require_name(wheel: Path, target: Target) -> None:
    """Raise SourceWheelError for a file that is not a wheel of the target's TensorFlow and Python."""
    tag, wanted = target.python_tag, f"tensorflow {target.tensorflow} for {target.python_tag} and Linux on x86_64"
    if not wheel.is_file():
        message = f"there is no file {wheel}"
        raise SourceWheelError(message, remedy="Correct the path that follows `--wheel`.")
    try:
        project, version, _, tags = parse_wheel_filename(wheel.name)
    except InvalidWheelFilename as error:
        message = f"{wheel} is no wheel: {error}"
        raise SourceWheelError(message, remedy="Give it the name that Bazel gave it.") from error
    pythons = {(one.interpreter, one.abi) for one in tags}
    built_for = {one.platform for one in tags}
    here = all(re.fullmatch(r"(linux|manylinux\w*)_x86_64", one) for one in built_for)
    if project != TENSORFLOW or str(version) != target.tensorflow or pythons != {(tag, tag)} or not here:
        message = f"{wheel.name} is not {wanted}"
        raise SourceWheelError(message)
    if not zipfile.is_zipfile(wheel):
        message = f"{wheel} is no whole wheel: it is no zip file, or a part of one"
        raise SourceWheelError(message, remedy="Copy it again from where it was built.")


def _require_contents(wheel: Path, target: Target) -> None:
    """Raise SourceWheelError for a wheel whose METADATA is not that of its name, or asks for files of any address."""
    with WheelReader(wheel) as reader:
        fields = core_metadata.read(reader.read(f"{reader.dist_info}/METADATA"))
        data = next((name for name in reader.names() if name.partition("/")[0].endswith(".data")), None)
    said = (canonicalize_name(fields.get("name", "")), fields.get("version", ""))
    if said != (TENSORFLOW, target.tensorflow):
        message = f"METADATA of {wheel.name} is that of {' '.join(said)}"
        raise SourceWheelError(message)
    if odd := next((one for one in fields.get("requires_dist", []) if Requirement(one).url), None):
        message = f"{wheel.name} requires a file by its address, and not a version: {odd}"
        raise SourceWheelError(message)
    if data:
        message = f"{wheel.name} has a .data folder ({data}), which TensorFlow's own wheels do not have"
        raise SourceWheelError(message)


def _require_gpu_code(base: Base, target: Target) -> None:
    """Raise SourceWheelError unless each kind of GPU code of TensorFlow is there for every GPU of the line."""
    wanted = [f"sm_{arch}" for arch in target.line.archs]
    if wanted and not base.families:
        message = f"{base.file} has no GPU code, and the line {target.line.name} is for {', '.join(wanted)}"
        raise SourceWheelError(message)
    for kind, found in base.families.items():
        if lacking := [one for one in wanted if one not in found]:
            message = f"{base.file} has no {', '.join(lacking)} in its {kind} kernels, only {', '.join(found)}"
            raise SourceWheelError(message)
