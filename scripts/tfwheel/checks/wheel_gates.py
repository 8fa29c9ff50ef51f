"""Check a finished wheel: each gate proves one property by reading the wheel, and has its own error.

A gate takes an OpenedWheel and returns its finding, one line for the record, or raises its error.
"""

from __future__ import annotations

import sys
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.metadata import Metadata
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name

from tfwheel.checks import platform_tags
from tfwheel.checks.code_gates import arch, promise
from tfwheel.checks.errors import (
    ContentsGateError,
    GraftGateError,
    MetadataGateError,
    PlatformGateError,
    RunpathGateError,
    SizeGateError,
)
from tfwheel.checks.opened_wheel import MergedFiles, OpenedWheel, opened, opened_ops
from tfwheel.checks.symbol_gate import symbols
from tfwheel.checks.wording import listed, some
from tfwheel.config import changed_libraries
from tfwheel.gpu import elf
from tfwheel.system import scratch
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel import sbom as wheel_sbom

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.tags import Tag

    from tfwheel.config.targets import Base, RepairRules, Target

OWN_LIBRARIES = {"tensorflow/libtensorflow_framework.so.2", "tensorflow/libtensorflow_cc.so.2"}


@dataclass(frozen=True, kw_only=True)
class Passed:
    """What the gates found in a wheel that passed them: a line per gate, and its GPU code by kind."""

    findings: dict[str, str]
    gpu_code: dict[str, list[str]]


def run_gates(merged: MergedFiles, *, base: Path, locked: Base, target: Target, rules: RepairRules) -> Passed:
    """Check a merged wheel with every gate, in a fixed order; return what they found.

    ``base`` is the official wheel it was made from. Raises the error of the first gate that fails, and BadWheelError
    if one of the two files is not a sound wheel.
    """
    with opened(merged, base=base, locked=locked, target=target, rules=rules) as opened_wheel:
        return _passed(opened_wheel)


def run_ops_gates(wheel: Path, *, base: Path, target: Target, rules: RepairRules) -> Passed:
    """Check a repaired ops wheel with the same gates; return and raise what ``run_gates`` does.

    ``base`` is the official wheel of any Python of its TensorFlow and line, which has the symbols that the ops use.
    """
    with opened_ops(wheel, target=target, rules=rules, beside=base) as opened_wheel:
        return _passed(opened_wheel)


def contents(opened_wheel: OpenedWheel) -> str:
    """Check that the members are the expected ones, and that each one shared with the official wheel has its bytes."""
    names, expected = opened_wheel.files, opened_wheel.expected
    kept = opened_wheel.official.kept.keys() if opened_wheel.official else frozenset()
    faults = {
        "holds what neither its base nor a declared change brings": names - expected,
        "lacks": expected - names,
        "differs from its base, undeclared, in": {
            name for name in names & kept if not opened_wheel.has_official_bytes(name)
        },
    }
    for fault, found in faults.items():
        if found:
            message = f"{opened_wheel.name} {fault}: {some(found)}"
            raise ContentsGateError(message)
    return f"{len(names)} files: {len(kept)} as in the official wheel, {len(opened_wheel.own)} declared"


def runpath(opened_wheel: OpenedWheel) -> str:
    """Check that each official library has its locked RUNPATH; an unchanged library is not read again.

    On a line with `rpath`, the libraries that open CUDA's must have it as DT_RPATH, and no others.
    """
    official = opened_wheel.official
    locked = official.locked.runpaths if official else {}
    first = changed_libraries.with_rpath(opened_wheel.target.line, official.locked) if official else ()
    for name, expected in locked.items():
        if name not in first and opened_wheel.is_official(name):
            continue
        if name not in opened_wheel.libraries:
            message = f"{opened_wheel.name}: `{name}` is gone, or was changed undeclared"
            raise RunpathGateError(message)
        with opened_wheel.libraries[name].open("rb") as stream:
            found = elf.dynamic(stream)
        if found.runpath != expected:
            message = f"{opened_wheel.name}: `{name}` has the RUNPATH {found.runpath or '(none)'}; locked is {expected}"
            raise RunpathGateError(message)
        if found.first != (name in first):
            tag, wanted = ("DT_RPATH", "DT_RUNPATH") if found.first else ("DT_RUNPATH", "DT_RPATH")
            message = f"{opened_wheel.name}: `{name}` has {tag}; the line asks for {wanted}"
            raise RunpathGateError(message)
    return f"{len(locked)} libraries of TensorFlow as locked" + (f", DT_RPATH in {some(first)}" if first else "")


def graft(opened_wheel: OpenedWheel) -> str:
    """Check that no library of CUDA, the driver or TensorFlow was copied in, and by a repair only those allowed."""
    grafted = []
    for name in sorted(opened_wheel.files - OWN_LIBRARIES):
        path = PurePosixPath(name)
        if path.parts[0].endswith(".libs"):
            if not any(fnmatch(path.name, pattern) for pattern in opened_wheel.rules.ops.graft_patterns):
                message = f"{opened_wheel.name}: a repair copied `{name}` in"
                raise GraftGateError(message)
            grafted.append(path.name)
        if ".so" not in path.suffixes:
            continue
        if pattern := next((one for one in opened_wheel.rules.exclude if fnmatch(path.name, one)), None):
            message = f"{opened_wheel.name}: `{name}` must not be in a wheel (`{pattern}` in repair.toml)"
            raise GraftGateError(message)
    return f"copied in: {', '.join(grafted) or 'no library'}"


def platform(opened_wheel: OpenedWheel) -> str:
    """Check that the platform tags are within the ceiling, and cover the symbols that the wheel's own libraries need.

    The policies are auditwheel's (PEP 600).
    """
    policies = platform_tags.policies()
    ceiling = policies.get_policy_by_name(opened_wheel.rules.ceiling)
    claimed = platform_tags.claimed(opened_wheel)
    if claimed < ceiling:
        message = f"{opened_wheel.name} needs {claimed.name}, and the ceiling is {ceiling.name}"
        raise PlatformGateError(message)
    for name, path in opened_wheel.libraries.items():
        with path.open("rb") as stream:
            needs = {f"{family}_{number}" for family, number in elf.dynamic(stream).versions.items()}
        needed = policies.versioned_symbols_policy({name: needs})
        if needed < claimed:
            message = (
                f"{opened_wheel.name}: `{name}` needs {needed.name} for {some(needs)}; "
                f"the file name says {claimed.name}"
            )
            raise PlatformGateError(message)
    return f"{claimed.name}, ceiling {ceiling.name}"


def size(opened_wheel: OpenedWheel) -> str:
    """Check that the file is not larger than ``max_bytes``."""
    found, limit = opened_wheel.wheel.path.stat().st_size, opened_wheel.rules.max_bytes
    if found > limit:
        message = f"{opened_wheel.name} has {found:,} bytes; the limit is {limit:,}"
        raise SizeGateError(message)
    return f"{found:,} bytes, limit {limit:,}"


def metadata(opened_wheel: OpenedWheel) -> str:
    """Check that file name, METADATA and WHEEL are valid and agree with each other and with the target.

    The rules are the core metadata specification (by packaging), PEP 427, and ``twine check --strict``.
    """
    parsed = _parsed(opened_wheel)
    tags = platform_tags.tags(opened_wheel)
    project, version = opened_wheel.name.split("-")[:2]
    disagreements = {
        "project": {canonicalize_name(parsed.name), canonicalize_name(project), opened_wheel.project},
        "version": {str(parsed.version), version, opened_wheel.target.version},
        "metadata folder": {opened_wheel.wheel.dist_info, f"{project}-{version}.dist-info"},
        "tags": {" ".join(sorted(map(str, tags))), " ".join(sorted(map(str, _tags_in_wheel_file(opened_wheel))))},
        "Python tag": {f"{tag.interpreter}-{tag.abi}" for tag in tags} | {opened_wheel.tag},
    }
    for what, values in disagreements.items():
        if len(values) > 1:
            message = (
                f"{opened_wheel.name}: file name, metadata and target disagree on the {what}: {listed(sorted(values))}"
            )
            raise MetadataGateError(message)
    pythons = parsed.requires_python
    if pythons is None or opened_wheel.target.python not in pythons:
        message = (
            f"{opened_wheel.name}: Requires-Python is `{pythons or ''}`; the target is {opened_wheel.target.python}"
        )
        raise MetadataGateError(message)
    _ask_twine(opened_wheel)
    return (
        f"{parsed.name} {parsed.version}, {len(parsed.requires_dist or [])} requirements, twine check --strict passed"
    )


def sbom(opened_wheel: OpenedWheel) -> str:
    """Check that the SBOM (PEP 770) is there, is of this wheel, and names the locked official wheel."""
    locked = opened_wheel.official.locked if opened_wheel.official else None
    return wheel_sbom.check(
        opened_wheel.wheel,
        project=opened_wheel.project,
        version=opened_wheel.target.version,
        base_sha256=locked.sha256 if locked else None,
    )


GATES = (contents, runpath, graft, platform, symbols, arch, promise, size, metadata, sbom)


def _passed(opened_wheel: OpenedWheel) -> Passed:
    findings = {gate.__name__: gate(opened_wheel) for gate in GATES}
    return Passed(findings=findings, gpu_code={kind: list(found) for kind, found in opened_wheel.gpu_code.items()})


def _parsed(opened_wheel: OpenedWheel) -> Metadata:
    try:
        return Metadata.from_email(_info_file(opened_wheel, "METADATA"), validate=True)
    except ExceptionGroup as group:
        message = f"{opened_wheel.name}: METADATA: {'; '.join(str(error) for error in group.exceptions)}"
        raise MetadataGateError(message) from group


def _tags_in_wheel_file(opened_wheel: OpenedWheel) -> set[Tag]:
    try:
        lines = _info_file(opened_wheel, "WHEEL").decode().splitlines()
        texts = [line.removeprefix("Tag:").strip() for line in lines if line.startswith("Tag:")]
        return {tag for text in texts for tag in parse_tag(text)}
    except ValueError as error:
        message = f"{opened_wheel.name}: WHEEL cannot be read: {error}"
        raise MetadataGateError(message) from error


def _ask_twine(opened_wheel: OpenedWheel) -> None:
    """Run twine on a copy with the metadata alone: twine checks METADATA only, but would hash the whole wheel."""
    with scratch.folder("twine") as folder:
        small = folder / opened_wheel.name
        with zipfile.ZipFile(small, "w") as archive:
            for name in ("METADATA", "WHEEL"):
                archive.writestr(f"{opened_wheel.wheel.dist_info}/{name}", _info_file(opened_wheel, name))
        try:
            run(
                [sys.executable, "-m", "twine", "--no-color", "check", "--strict", small.name],
                cwd=small.parent,
                env={"COLUMNS": "200"},
            )
        except CommandError as error:
            message = f"{opened_wheel.name}: twine rejects its metadata\n{error.output.strip()}"
            raise MetadataGateError(message) from error


def _info_file(opened_wheel: OpenedWheel, name: str) -> bytes:
    return opened_wheel.wheel.read(f"{opened_wheel.wheel.dist_info}/{name}")
